"""What elections are held with in which a service fails at named places."""
