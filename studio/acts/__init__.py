"""What the studio does with trained models: functions of a state, without any page."""
