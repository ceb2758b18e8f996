// Placeholder.swift - x.
