"""Benches: `scripts/bench NAME`. A bench is a module here with `add_arguments` and `run`, and one line in `BENCHES`.

A bench compares things in one run, alternating, and reports ratios: machines differ and are noisy, ratios less so.
None is part of the tests, but each has a short leg in them, so that it cannot rot.
"""
