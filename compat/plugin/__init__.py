"""The pytest plugin: hooks and nothing else. A run that uses neither `test_check` nor the
`subject` fixture costs it nothing."""
