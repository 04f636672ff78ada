"""The notebook's process on a laptop: JupyterLab from Vellum's environment, kernels from an environment of the team's.

``python -P -m vellum.laptop.notebook ARGUMENTS`` prepares the environment and becomes JupyterLab with the arguments.
"""
