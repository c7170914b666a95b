"""A hospital's side of training without a centre: its diary, the boxes between it and its neighbours, and the session
that trains, sends, waits and mixes."""
