"""The tables and figures of the paper: ``python -m benchmarks paper --table 4 --data-root DIR``.

What is run stands in ``configs/``: a file for each table and figure (data sets, methods, backbone,
published numbers), one for the methods (fixed parameters and sweeps), and one for each preset (size
of everything). docs/paper.md says how to run it.
"""
