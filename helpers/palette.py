"""The colours of every figure: Okabe and Ito's, darkened where they need it to stand out on white.

Lines and marks have a contrast of 3:1 or more with white, tints lie behind them.
"""

BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#00825F"
PINK, OCHRE, SKY, VIOLET = "#B85C92", "#B07800", "#3A8FC4", "#6B3FA0"
BLACK, INK, GREY = "#000000", "#333333", "#666666"
CYCLE = (BLUE, ORANGE, GREEN, PINK, OCHRE)

# Behind or beside the data: areas, frames, lines to compare with.
PALE_BLUE, PALE_ORANGE, PALE_OCHRE = "#C5DCEC", "#F6D9C5", "#F0E3C0"
SHADE, LIGHT, GRID = "#999999", "#C4C4C4", "#E6E6E6"
