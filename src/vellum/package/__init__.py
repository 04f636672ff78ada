"""Everything that Crossplane needs for Vellum, made from the typed models: XRDs, Compositions, rights, the function."""
