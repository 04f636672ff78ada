"""Files become claims, or errors with code, line, field and fix."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

import pytest
import yaml

from vellum.api import loader
from vellum.api.claim import Claim, claim_spec
from vellum.api.platform import Platform, platform_spec
from vellum.errors import ClaimError

HEAD = "apiVersion: platform.vellum.dev/v1alpha1\nkind: MLOpsPlatform\nmetadata: {name: research, namespace: team-a}\n"
BARE = HEAD + "spec: {}\n"
PLATFORM = "apiVersion: platform.vellum.dev/v1alpha1\nkind: KubeflowPlatform\nmetadata: {name: kubeflow}\n"


def load(text: str) -> list[loader.Written]:
    return loader.load(text.encode(), "claim.yaml")


def said(text: str | bytes) -> list[tuple[str, str, str]]:
    """Return (code, where without the file, fix) of everything that is wrong."""
    with pytest.raises(loader.MistakesError) as caught:
        loader.load(text if isinstance(text, bytes) else text.encode(), "claim.yaml")
    problems = caught.value.problems
    assert caught.value.as_dict() == problems[0].as_dict()
    return [(error.code, error.where.removeprefix("claim.yaml:"), error.fix) for error in problems]


def test_the_smallest_claim_gets_every_default() -> None:
    assert load(HEAD + "spec: {notebooks: enabled}\n") == [
        Claim(namespace="team-a", name="research", spec=claim_spec().model_validate({"notebooks": "enabled"}))
    ]


def test_a_claim_without_namespace_lives_in_default() -> None:
    (claim,) = load(BARE.replace(", namespace: team-a", ""))
    assert isinstance(claim, Claim)
    assert (claim.namespace, claim.name) == ("default", "research")


def test_a_claim_without_a_spec_is_refused_as_by_an_api_server() -> None:
    assert said(HEAD) == [("VEL114", "1: spec", "write spec: {}")]


def test_an_empty_spec_is_all_defaults() -> None:
    assert load(BARE) == [Claim(namespace="team-a", name="research", spec=claim_spec()())]


def test_a_platform_is_read() -> None:
    assert load(PLATFORM + "spec: {profile: light}\n") == [
        Platform(spec=platform_spec().model_validate({"profile": "light"}))
    ]


def test_labels_and_annotations_are_kept() -> None:
    (claim,) = load(BARE.replace("team-a}", "team-a, labels: {a.io/b: c}, annotations: {d: 'e f'}}"))
    assert isinstance(claim, Claim)
    assert (claim.labels, claim.annotations) == ({"a.io/b": "c"}, {"d": "e f"})


def test_json_with_tabs_is_read() -> None:
    manifest = load(HEAD + "spec: {costCenter: '4711', search: {replicas: 2}}\n")[0].manifest()
    text = json.dumps(manifest, indent="\t")
    assert "\t" in text
    assert load(text)[0].manifest() == manifest


def test_files_from_windows_are_read() -> None:
    assert load((HEAD + "spec: {notebooks: enabled}\n").replace("\n", "\r\n")) == load(
        HEAD + "spec: {notebooks: enabled}"
    )


def test_many_documents_come_in_their_order_and_empty_ones_do_not_count() -> None:
    text = f"---\n# nothing\n---\n{BARE}---\n{BARE.replace('research', 'second')}---\n{PLATFORM}spec: {{}}\n---\n"
    assert [document.manifest()["metadata"]["name"] for document in load(text)] == ["research", "second", "kubeflow"]


def test_what_a_control_plane_prints_can_be_given_back() -> None:
    live = yaml.safe_load(HEAD + "spec: {notebooks: enabled}\n")
    live["metadata"] |= {
        "uid": "1",
        "resourceVersion": "7",
        "generation": 3,
        "creationTimestamp": None,
        "finalizers": ["a/b"],
        "managedFields": [{"manager": "m", "fieldsV1": {"f:spec": {".": {}}}}],
        "ownerReferences": [],
    }
    live["spec"] |= {"compositionRef": {"name": "x"}, "resourceRef": {"name": "y"}, "claimRef": {"name": "other"}}
    live["status"] = {"conditions": [{"lastTransitionTime": "2026-01-01T00:00:00Z"}]}
    text = yaml.safe_dump(live).replace("'2026-01-01T00:00:00Z'", "2026-01-01T00:00:00Z")
    assert load(text) == load(HEAD + "spec: {notebooks: enabled}\n")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        # words that YAML readers disagree on
        ("notebooks: on", ("VEL108", "5: spec.notebooks", "write notebooks: enabled (allowed: enabled, disabled)")),
        ("notebooks: No", ("VEL108", "5: spec.notebooks", "write notebooks: disabled (allowed: enabled, disabled)")),
        ("owner: yes", ("VEL108", "5: spec.owner", 'write "yes" in quotes')),
        ("owner: TRUE", ("VEL108", "5: spec.owner", 'write "TRUE" in quotes')),
        ("owner: n", ("VEL108", "5: spec.owner", 'write "n" in quotes')),
        ("costCenter: 012", ("VEL108", "5: spec.costCenter", 'write "012" in quotes')),
        ("costCenter: 0o17", ("VEL108", "5: spec.costCenter", 'write "0o17" in quotes')),
        ("costCenter: 0x1F", ("VEL108", "5: spec.costCenter", 'write "0x1F" in quotes')),
        ("costCenter: 0b11", ("VEL108", "5: spec.costCenter", 'write "0b11" in quotes')),
        ("costCenter: 12:30", ("VEL108", "5: spec.costCenter", 'write "12:30" in quotes')),
        ("costCenter: 2026-01-02", ("VEL108", "5: spec.costCenter", 'write "2026-01-02" in quotes')),
        (
            "costCenter: 2026-01-02T03:04:05Z",
            ("VEL108", "5: spec.costCenter", 'write "2026-01-02T03:04:05Z" in quotes'),
        ),
        ("costCenter: .inf", ("VEL108", "5: spec.costCenter", 'write ".inf" in quotes')),
        ("costCenter: -.INF", ("VEL108", "5: spec.costCenter", 'write "-.INF" in quotes')),
        ("costCenter: .nan", ("VEL108", "5: spec.costCenter", 'write ".nan" in quotes')),
        ("costCenter: 1e3", ("VEL108", "5: spec.costCenter", 'write "1e3" in quotes')),
        ("costCenter: 12E03", ("VEL108", "5: spec.costCenter", 'write "12E03" in quotes')),
        ("costCenter: 1_000", ("VEL108", "5: spec.costCenter", 'write "1_000" in quotes')),
        ("costCenter: +7", ("VEL108", "5: spec.costCenter", 'write "+7" in quotes')),
        ("costCenter: .5", ("VEL108", "5: spec.costCenter", 'write ".5" in quotes')),
        ("costCenter: 1234567890123456789", ("VEL108", "5: spec.costCenter", 'write "1234567890123456789" in quotes')),
        ("owner: =", ("VEL108", "5: spec.owner", 'write "=" in quotes')),
        # no value
        ("owner: ~", ("VEL109", "5: spec.owner", "write a value, or delete the line to get the default")),
        ("owner: null", ("VEL109", "5: spec.owner", "write a value, or delete the line to get the default")),
        ("owner:", ("VEL109", "5: spec.owner", "write a value, or delete the line to get the default")),
        ("pipelines:", ("VEL109", "5: spec.pipelines", "write pipelines: enabled (allowed: enabled, disabled)")),
        # names that are not text
        ("1: a", ("VEL110", "5: spec.1", 'write "1" in quotes')),
        ("on: a", ("VEL110", "5: spec.on", 'write "on" in quotes')),
        # fields
        ("notebook: {storag: 1Gi}", ("VEL112", "5: spec.notebook.storag", "write storage instead")),
        ("notbooks: enabled", ("VEL112", "5: spec.notbooks", "write notebooks instead")),
        ("search: {zzz: 1}", ("VEL112", "5: spec.search.zzz", "delete it; known here: replicas")),
        # types
        ("costCenter: 4711", ("VEL114", "5: spec.costCenter", 'write costCenter: "4711" in quotes')),
        ("costCenter: 1.10", ("VEL114", "5: spec.costCenter", 'write costCenter: "1.10" in quotes')),
        ("owner: [a]", ("VEL114", "5: spec.owner", 'write for example owner: "ada@example.org"')),
        ("notebooks: true", ("VEL114", "5: spec.notebooks", "write notebooks: enabled (allowed: enabled, disabled)")),
        ("notebooks: false", ("VEL114", "5: spec.notebooks", "write notebooks: disabled (allowed: enabled, disabled)")),
        ("notebook: enabled", ("VEL114", "5: spec.notebook", "write notebooks: enabled instead")),
        (
            "notebook: 5Gi",
            ("VEL114", "5: spec.notebook", "write fields below it, such as storage; see vellum explain spec.notebook"),
        ),
        ("notebook: {storage: 10}", ("VEL114", "5: spec.notebook.storage", 'write for example storage: "10Gi"')),
        ('search: {replicas: "3"}', ("VEL114", "5: spec.search.replicas", "write replicas: 3 without quotes")),
        # values
        ("size: smal", ("VEL115", "5: spec.size", "write size: small (allowed: small, medium, large)")),
        (
            "deletionPolicy: retain",
            ("VEL115", "5: spec.deletionPolicy", "write deletionPolicy: Retain (allowed: Retain, Delete)"),
        ),
        ("search: {replicas: 6}", ("VEL115", "5: spec.search.replicas", "write for example replicas: 2")),
        ("notebook: {storage: 10gb}", ("VEL115", "5: spec.notebook.storage", 'write for example storage: "10Gi"')),
        ('notebook: {storage: "10"}', ("VEL115", "5: spec.notebook.storage", 'write for example storage: "10Gi"')),
        ("notebook: {storage: -1Gi}", ("VEL115", "5: spec.notebook.storage", 'write for example storage: "10Gi"')),
        ("notebook: {storage: \u0661Gi}", ("VEL115", "5: spec.notebook.storage", 'write for example storage: "10Gi"')),
        ("notebook: {storage: 9000Ei}", ("VEL115", "5: spec.notebook.storage", 'write for example storage: "10Gi"')),
        ('costCenter: "a\\n"', ("VEL115", "5: spec.costCenter", 'write for example costCenter: "4711"')),
        (f"owner: {'a' * 254}", ("VEL115", "5: spec.owner", 'write for example owner: "ada@example.org"')),
    ],
)
def test_a_mistake_in_the_spec_names_line_field_and_what_to_write(line: str, expected: tuple[str, str, str]) -> None:
    assert said(f"{HEAD}spec:\n  {line}\n") == [expected]


def test_words_in_quotes_are_text() -> None:
    (claim,) = load(HEAD + 'spec: {costCenter: "012", owner: "yes"}\n')
    assert isinstance(claim, Claim)
    assert (claim.spec.costCenter, claim.spec.owner) == ("012", "yes")


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ("{}", [("VEL113", "3: metadata.name", 'write for example name: "research"')]),
        ("{name: My_Team}", [("VEL116", "3: metadata.name", "write name: my-team")]),
        ("{name: a.b}", [("VEL116", "3: metadata.name", "write name: a-b")]),
        ("{name: 'a\\n'}", [("VEL116", "3: metadata.name", "write name: a-n")]),
        ("{name: -a}", [("VEL116", "3: metadata.name", "write name: a")]),
        (f"{{name: {'a' * 64}}}", [("VEL116", "3: metadata.name", f"write name: {'a' * 63}")]),
        ("{name: ''}", [("VEL116", "3: metadata.name", "write name: research")]),
        ("{name: 12}", [("VEL116", "3: metadata.name", 'write name: "12", if that is the name')]),
        ("{name: on}", [("VEL108", "3: metadata.name", 'write "on" in quotes')]),
        ("{name: a, namespace: B}", [("VEL116", "3: metadata.namespace", "write namespace: b")]),
        *(
            (f"{{name: a, namespace: {name}}}", [("VEL116", "3: metadata.namespace", "write namespace: team-a")])
            for name in (
                "kubeflow",
                "vellum-storage",
                "vellum-vectors",
                "kube-system",
                "kube-public",
                "kube-node-lease",
                "crossplane-system",
            )
        ),
        ("{name: a, nam: b}", [("VEL112", "3: metadata.nam", "delete it; name is written too")]),
        (
            "{name: a, generateName: b}",
            [("VEL112", "3: metadata.generateName", "delete it; known here: name, labels, annotations, namespace")],
        ),
        ("{name: a, labels: {b: 12}}", [("VEL114", "3: metadata.labels.b", 'write b: "12" in quotes')]),
        ("{name: a, labels: {b: on}}", [("VEL108", "3: metadata.labels.b", 'write "on" in quotes')]),
        ("{name: a, labels: {b: c d}}", [("VEL117", "3: metadata.labels.b", "shorten it, or move it to annotations")]),
        (
            "{name: a, labels: {/b: c}}",
            [("VEL117", "3: metadata.labels['/b']", "write a name such as example.org/stage")],
        ),
        (
            "{name: a, labels: {A.io/b: c}}",
            [("VEL117", "3: metadata.labels['A.io/b']", "write a name such as example.org/stage")],
        ),
        ("{name: a, labels: [b]}", [("VEL114", "3: metadata.labels", 'write for example labels: {"stage": "trial"}')]),
        (
            "{name: a, annotations: {b: {c: d}}}",
            [("VEL114", "3: metadata.annotations.b", 'write for example b: "a text"')],
        ),
        ("[]", [("VEL114", "3: metadata", "write metadata: {name: research}; see vellum explain metadata")]),
    ],
)
def test_metadata_follow_the_rules_of_kubernetes(metadata: str, expected: list[tuple[str, str, str]]) -> None:
    assert said(BARE.replace("{name: research, namespace: team-a}", metadata)) == expected


def test_annotations_end_at_256_kib() -> None:
    text = BARE.replace("team-a}", f"team-a, annotations: {{a: {'b' * (256 * 1024)}}}}}")
    assert said(text) == [("VEL117", "3: metadata.annotations", "store long texts elsewhere")]


def test_the_platform_has_one_name_and_no_namespace() -> None:
    text = PLATFORM.replace("{name: kubeflow}", "{name: x, namespace: z}") + "spec: {}\n"
    assert said(text) == [
        ("VEL116", "3: metadata.name", "write name: kubeflow"),
        ("VEL112", "3: metadata.namespace", "delete it; name is written too"),
    ]


def test_the_platforms_bucket_can_never_be_a_teams() -> None:
    load(PLATFORM + "spec: {artifacts: {bucket: vellum-artifacts}}")
    load(PLATFORM + "spec: {artifacts: {bucket: artifacts-eu}}")
    ((code, place, *_),) = said(PLATFORM + "spec: {artifacts: {bucket: vellum-team-a-x7k2p}}")
    assert (code, place.partition(" ")[2]) == ("VEL115", "spec.artifacts.bucket")


EXTERNAL = PLATFORM + "spec: {profile: light, objectStore: {backend: external, endpoint: ENDPOINT}}\n"
EXAMPLE = 'write for example endpoint: "https://s3.example.org"'


@pytest.mark.parametrize(
    "endpoint", ["https://s3.example.org", "http://10.0.0.7:9000", "http://minio.minio.svc", "https://s3:65535"]
)
def test_an_external_store_is_named_by_its_endpoint(endpoint: str) -> None:
    (platform,) = load(EXTERNAL.replace("ENDPOINT", endpoint))
    store = platform.manifest()["spec"]["objectStore"]
    assert store == {"backend": "external", "endpoint": endpoint, "region": "us-east-1"}
    assert load(json.dumps(platform.manifest())) == [platform]


@pytest.mark.parametrize(
    "endpoint",
    [
        "s3.example.org",
        "s3://bucket",
        "https://",
        "https://s3.example.org/",
        "https://s3.example.org/bucket",
        "https://KEY:SECRET@s3.example.org",
        "https://s3.example.org?x=1",
        "https://s3.example.org:0",
        "https://s3.example.org:65536",
        "https://s3..example.org",
        "https://-s3.example.org",
        "https://S3.example.org",
        "https://[::1]:9000",
        f"https://{'a' * 64}.example.org",
        f"https://{'a.' * 150}org",
        '"https://s3.example.org\\n"',
    ],
)
def test_an_endpoint_that_is_more_or_less_than_an_address_is_refused(endpoint: str) -> None:
    quoted = endpoint if endpoint.startswith('"') else f'"{endpoint}"'
    assert said(EXTERNAL.replace("ENDPOINT", quoted)) == [("VEL115", "4: spec.objectStore.endpoint", EXAMPLE)]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            "{profile: light, objectStore: {backend: external}}",
            ("4: spec.objectStore.endpoint", "write endpoint: https://HOST, or with :PORT"),
        ),
        (
            "{objectStore: {endpoint: 'https://s3.example.org'}}",
            ("4: spec.objectStore.endpoint", "delete endpoint, or write backend: external"),
        ),
        (
            "{objectStore: {backend: seaweedfs, region: eu-central-1}}",
            ("4: spec.objectStore.region", "delete region, or write backend: external"),
        ),
        (
            "{objectStore: {backend: external, endpoint: 'https://s3.example.org'}}",
            ("4: spec.objectStore", "write profile: light or standard, or delete objectStore"),
        ),
        (
            "{profile: light, objectStore: {backend: minio}}",
            ("4: spec.objectStore.backend", "write backend: seaweedfs (allowed: seaweedfs, external)"),
        ),
        (
            "{profile: light, objectStore: {backend: external, endpoint: 'https://s3.example.org', region: 'a b'}}",
            ("4: spec.objectStore.region", 'write for example region: "eu-central-1"'),
        ),
    ],
)
def test_a_store_that_does_not_fit_is_refused_with_what_to_write(spec: str, expected: tuple[str, str]) -> None:
    assert said(f"{PLATFORM}spec: {spec}\n") == [("VEL115", *expected)]


def test_anchors_and_aliases_hide_no_other_mistake() -> None:
    """Vellum checks the value of an anchor, but not the value of an alias."""
    text = HEAD + "spec:\n  notebooks: &on enabeld\n  search: *on\n  vectors: &v {storge: 1Gi}\n  sise: small\n"
    assert [(code, where, fix.split(" (")[0]) for code, where, fix in said(text + f"---\n{HEAD}spec: *v\n")] == [
        ("VEL106", "5: spec.notebooks", "delete &on"),
        ("VEL115", "5: spec.notebooks", "write notebooks: enabled"),
        ("VEL106", "6: spec.search", "write the value out"),
        ("VEL106", "7: spec.vectors", "delete &v"),
        ("VEL112", "7: spec.vectors.storge", "write storage instead"),
        ("VEL112", "8: spec.sise", "write size instead"),
        ("VEL106", "13: spec", "write the value out"),
    ]


@pytest.mark.parametrize("word", ["on", "NO", "1_0", "012"])
def test_a_word_that_some_readers_do_not_read_as_text_is_quoted_in_a_text_field(word: str) -> None:
    text = HEAD.replace("name: research", f"name: {word}") + f"spec: {{costCenter: {word}}}\n"
    assert [fix for _, _, fix in said(text)] == [f'write "{word}" in quotes'] * 2


@pytest.mark.parametrize("name", ["qdrant:latest", "registry.example.org/q", "registry.example.org/q@sha256:12"])
def test_an_image_without_registry_or_version_is_refused(name: str) -> None:
    assert said(PLATFORM + f"spec: {{images: {{qdrant: '{name}'}}}}")[0][:2] == ("VEL115", "4: spec.images.qdrant")


@pytest.mark.parametrize("version", [":v1.2", f"@sha256:{'a' * 64}", f":v1.2@sha256:{'a' * 64}"])
def test_images_are_named_by_tag_or_digest(version: str) -> None:
    load(PLATFORM + f"spec: {{images: {{qdrant: 'registry.example.org:5000/a/q{version}'}}}}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (BARE.replace("v1alpha1", "v1"), ("VEL111", "1: apiVersion", "write apiVersion: platform.vellum.dev/v1alpha1")),
        (
            BARE.replace("MLOps", "mlops"),
            (
                "VEL111",
                "2: kind",
                "write kind: MLOpsPlatform (allowed: MLOpsPlatform, KubeflowPlatform, TrainJob, InferenceService)",
            ),
        ),
        ("kind: MLOpsPlatform\n", ("VEL111", "1", "write apiVersion: platform.vellum.dev/v1alpha1")),
        ("- a\n", ("VEL111", "1", "write apiVersion, kind, metadata and spec")),
        (HEAD + "sepc: {}\n", ("VEL112", "4: sepc", "write spec instead")),
        (HEAD + "spec: []\n", ("VEL114", "4: spec", "write fields below it, such as owner; see vellum explain spec")),
        ("", ("VEL102", "", "see examples/02-minimal/claim.yaml")),
        ("# nothing\n---\n", ("VEL102", "", "see examples/02-minimal/claim.yaml")),
        (HEAD + "spec: {size: small, size: large}\n", ("VEL107", "4: spec.size", "keep one of the two")),
        (HEAD + "spec: &a {}\n", ("VEL106", "4: spec", "delete &a")),
        (HEAD + "spec: *a\n", ("VEL106", "4: spec", "write the value out")),
        (HEAD + "spec: !!map {}\n", ("VEL106", "4: spec", "delete the word that begins with !")),
        (HEAD + "spec: {<<: {}}\n", ("VEL106", "4: spec", "write the fields out")),
        ("%YAML 1.1\n---\n" + HEAD, ("VEL106", "1", "delete the line")),
        (HEAD + "spec: {? [a] : b}\n", ("VEL110", "4: spec", "names are text: write name: value")),
        (
            HEAD + "spec: {\n",
            ("VEL105", "5", "look at this line and the one before: indentation, colons, quotes, tabs"),
        ),
        (
            HEAD + "spec:\n\tsize: small\n",
            ("VEL105", "5", "look at this line and the one before: indentation, colons, quotes, tabs"),
        ),
    ],
)
def test_what_is_not_an_object_of_ours_is_refused(text: str, expected: tuple[str, str, str]) -> None:
    problems = said(text)
    assert (problems[0][0], problems[0][1].removeprefix("claim.yaml"), problems[0][2]) == expected


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (HEAD.encode("utf-16"), "1"),
        (b"\xef\xbb\xbf" + HEAD.encode(), "1"),
        (HEAD.encode() + b"# \xff\n", "4"),
        (HEAD.encode() + b"# \x1b[31m\n", "4"),
        (HEAD.encode() + b"\n# \x00\n", "5"),
        (HEAD.encode() + "# \u202e\n".encode(), "4"),
        (HEAD.encode() + "# \u2028\n".encode(), "4"),
        (HEAD.encode() + "# \x85\n".encode(), "4"),
    ],
)
def test_only_plain_utf_8_is_read(data: bytes, line: str) -> None:
    ((code, where, _),) = said(data)
    assert (code, where) == ("VEL104", line)


def test_a_message_never_repeats_control_characters() -> None:
    with pytest.raises(ClaimError) as caught:
        load(HEAD + 'spec: {"\\e[31m": 1, size: "\\e[31m"}\n')
    assert isinstance(caught.value, loader.MistakesError)
    assert all("\x1b" not in f"{error} {error.fix}" for error in caught.value.problems)


def test_all_mistakes_of_a_file_are_told_in_the_order_of_its_lines() -> None:
    text = f"{HEAD}spec:\n  sizee: small\n  size: on\n  notebooks: maybe\n---\nkind: Nothing\n"
    assert [(code, where) for code, where, _ in said(text)] == [
        ("VEL112", "5: spec.sizee"),
        ("VEL108", "6: spec.size"),
        ("VEL115", "7: spec.notebooks"),
        ("VEL111", "9"),
        ("VEL111", "9: kind"),
    ]


def test_twenty_mistakes_are_enough() -> None:
    fields = "".join(f"  x{number}: 1\n" for number in range(1000))
    assert len(said(f"{HEAD}spec:\n{fields}")) == 20


def test_a_folder_is_read_in_name_order(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text(BARE)
    (tmp_path / "a.yml").write_text(PLATFORM + "spec: {}\n")
    (tmp_path / ".hidden.yaml").write_text("not: [read")
    (tmp_path / "notes.txt").write_text("not: [read")
    assert [written.manifest()["kind"] for written in loader.read(tmp_path)] == ["KubeflowPlatform", "MLOpsPlatform"]


def test_mistakes_of_all_files_of_a_folder_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(HEAD + "spec: {size: x}")
    (tmp_path / "b.yaml").write_text("a: [")
    with pytest.raises(loader.MistakesError) as caught:
        loader.read(tmp_path)
    assert [(error.code, error.where) for error in caught.value.problems] == [
        ("VEL115", f"{tmp_path}/a.yaml:4: spec.size"),
        ("VEL105", f"{tmp_path}/b.yaml:2"),
    ]


def test_the_same_object_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(BARE)
    (tmp_path / "b.yaml").write_text(BARE)
    with pytest.raises(ClaimError) as caught:
        loader.read(tmp_path)
    assert str(caught.value) == (
        f"VEL118: team-a/research is written twice ({tmp_path / 'a.yaml'} and {tmp_path / 'b.yaml'})"
    )
    with pytest.raises(ClaimError) as other:
        loader.read(tmp_path / "a.yaml", tmp_path / "b.yaml")
    assert str(other.value) == str(caught.value)


def test_a_pipe_in_a_folder_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(ClaimError, match="VEL101: the folder has no"):
        loader.read(tmp_path)


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(BARE.encode())))
    assert loader.read("-") == load(BARE)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    for path, what in (
        ("none.yaml", "no such file"),
        ("loop", "symbolic links"),
        ("empty", "no *.yaml"),
        ("a\0b", "not a path"),
    ):
        with pytest.raises(ClaimError, match="VEL101") as caught:
            loader.read(f"{tmp_path}/{path}")
        assert what in caught.value.what


def test_a_named_pipe_is_refused_and_one_that_the_shell_opened_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "claim.yaml")
    with pytest.raises(ClaimError, match="VEL101: this is not a file but a pipe"):
        loader.read(tmp_path / "claim.yaml")
    reading, writing = os.pipe()
    os.write(writing, BARE.encode())
    os.close(writing)
    assert loader.read(f"/dev/fd/{reading}") == load(BARE)
    os.close(reading)


def test_a_device_is_refused() -> None:
    assert os.path.exists("/dev/zero")  # noqa: PTH110  # a device, not a file of ours
    with pytest.raises(ClaimError, match="VEL101: this is not a file"):
        loader.read("/dev/zero")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("compositionUpdatePolicy", "Manual"),
        ("compositionRevisionRef", {"name": "mlopsplatform-1a"}),
        ("compositionRevisionSelector", {"matchLabels": {"a": "b"}}),
        ("compositionRef", {"name": "mine"}),
        ("compositionSelector", {"matchLabels": {"a": "b"}}),
        ("compositeDeletePolicy", "Background"),
        ("writeConnectionSecretToRef", {"name": "keys"}),
        ("publishConnectionDetailsTo", {"name": "keys"}),
        ("resourceRef", {"name": "another"}),
        ("claimRef", {"name": "another"}),
    ],
)
def test_a_claim_that_sets_crossplanes_own_field_is_refused(field: str, value: object) -> None:
    """Crossplane's output has a uid, and the values that it fills in have no effect."""
    with pytest.raises(ClaimError) as refused:
        load(HEAD + yaml.safe_dump({"spec": {field: value}}))
    assert refused.value.code == "VEL125"
    assert f"spec.{field} is Crossplane's own" in refused.value.what
    filled = {"compositionUpdatePolicy": "Automatic", "compositeDeletePolicy": "Foreground"}
    assert load(HEAD + yaml.safe_dump({"spec": filled})) == load(HEAD + "spec: {}\n")
