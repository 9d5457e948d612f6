"""Figures for the book and widgets for JupyterLab. Nothing below this package imports it."""
