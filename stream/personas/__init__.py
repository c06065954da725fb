"""From sampled habits of customers to personas: groups that keep their identity while they follow their customers."""
