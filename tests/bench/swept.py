"""Texts of small sweeps of the dataset `tiny`."""

HEAD = """
[defaults]
dataset = "tiny"
preset = "demo"
[defaults.train]
steps = 3
batch = 2
patch = [16, 16]
net = { widths = [4, 8], dropout = [0.0, 0.0] }
precision = "fp32"
threads = 1
deterministic = true
"""
TWO = HEAD + '[[run]]\nprotocol = "semi20"\nmethod = ["supervised", "gce"]\n'
