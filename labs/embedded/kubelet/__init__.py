"""What a kubelet does: the life of Pods on a node. node.py (one above) has the nodes; rules and links are not here."""
