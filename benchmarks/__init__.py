"""What the program costs beside a plain way of doing the same; `make bench` prints it.

python -m benchmarks [NAME ...] [--quick] [--json FILE]
"""
