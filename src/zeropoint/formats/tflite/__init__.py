"""TFLite model files. ``schema`` says what is in one, ``decode``/``encode`` carry it to and from
bytes, ``reader``/``writer`` to and from a graph; ``constants`` knows the element types, ``versions``
the operator versions. Start with ``reader``.
"""
