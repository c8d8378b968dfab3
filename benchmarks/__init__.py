"""Studies whose results the documentation quotes, and the demo.

Every number in the README and the documentation is written by one of these programs.
"""
