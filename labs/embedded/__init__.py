"""A Kubernetes cluster without a container engine: one process that serves the API and drives real namespaces and nftables.

Imports nothing else from labs. Its parts: the API over a store of objects (api/, store.py), the controllers (controllers/),
the Service rules (rules.py), DNS (dns.py), and what touches the kernel: launch, server, links, zygote, pod, node.
"""
