REGISTRY = "registry.example.com"
