"""What can be measured of a picture: texts that overlap or are cut off, legends over data."""

from itertools import combinations

from matplotlib.axis import Axis
from matplotlib.text import Text
from matplotlib.transforms import Bbox


def texts(figure):
    """Visible texts of a drawn figure with the boxes that they take, in pixels."""
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    beyond = _labels_beyond_the_limits(figure)
    return [
        (text.get_text(), text.get_window_extent(renderer))
        for text in figure.findobj(Text)
        if text.get_visible() and text.get_text().strip() and text not in beyond
    ]


def _labels_beyond_the_limits(figure):
    """Labels of ticks that matplotlib keeps and does not draw, and those of invisible axes."""
    labels = set()
    for axis in figure.findobj(Axis):
        low, high = sorted(axis.get_view_interval())
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
            if not low <= tick.get_loc() <= high or not axis.axes.axison:
                labels |= {tick.label1, tick.label2}
    return labels


def overlaps(figure):
    """Pairs of texts that share more than a pixel."""
    boxes = [(text, _shrunk(box)) for text, box in texts(figure)]
    return [(a, b) for (a, one), (b, other) in combinations(boxes, 2) if _meet(one, other)]


def cut_off(figure):
    """Texts that are not wholly inside of the figure."""
    page = figure.bbox
    return [
        text
        for text, box in texts(figure)
        if box.x0 < page.x0 - 1
        or box.y0 < page.y0 - 1
        or box.x1 > page.x1 + 1
        or box.y1 > page.y1 + 1
    ]


def covered(figure):
    """Axes whose data a legend hides."""
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    legends = [ax.get_legend() for ax in figure.axes if ax.get_legend() is not None]
    boxes = [_shrunk(legend.get_window_extent(renderer)) for legend in legends]
    return [ax for ax in figure.axes for box in boxes if ax.axison and _meet(_shrunk(ax.bbox), box)]


def assert_readable(figure):
    assert not overlaps(figure)
    assert not cut_off(figure)
    assert not covered(figure)


def _shrunk(box):
    return Bbox.from_extents(box.x0 + 0.5, box.y0 + 0.5, box.x1 - 0.5, box.y1 - 0.5)


def _meet(a, b):
    return a.x0 < b.x1 and b.x0 < a.x1 and a.y0 < b.y1 and b.y0 < a.y1
