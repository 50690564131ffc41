"""The Hub's own pages: what they say about quotas, and how our templates extend the Hub's."""
