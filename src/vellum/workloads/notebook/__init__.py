"""The notebook's process on a laptop: JupyterLab runs in Vellum's environment, kernels run in the team's own.

``python -P -m vellum.workloads.notebook ARGUMENTS`` prepares the environment and becomes JupyterLab with the arguments.
"""
