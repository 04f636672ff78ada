"""What Crossplane needs to know of Vellum, made from the typed models: XRDs, Compositions, rights, the function."""
