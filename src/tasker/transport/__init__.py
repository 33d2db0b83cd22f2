"""How work is announced: `direct`, `pgmq`, `rabbitmq`.

Messages are pointers, never truth: whoever is woken asks the database.
`seam` is what the three have in common, `opening` chooses one. RabbitMQ's client is imported when it is used.
"""
