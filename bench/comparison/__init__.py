"""The parts of bench/compare: file systems, contenders, loads, figures."""
