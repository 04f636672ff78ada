"""A real node: kubelet and containerd in network, mount and process namespaces of their own, beside the bench."""
