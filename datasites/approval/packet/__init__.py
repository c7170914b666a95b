"""What a data owner reads before deciding: facts only, the same in the notebook, the terminal and one HTML file."""

from datasites.approval.packet.packet import Packet

__all__ = ["Packet"]
