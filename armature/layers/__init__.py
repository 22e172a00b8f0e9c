"""The organs: small modules that know no architecture."""
