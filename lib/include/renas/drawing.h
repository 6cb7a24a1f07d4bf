#pragma once

#include <string>

namespace renas {

/// Draws the cell of a text or name that build_network() takes as SVG: inputs above, operators as
/// boxes, the sums of the blocks as circles, the concatenated output below. Where the normal and
/// the reduction cell differ, both stand there, side by side.
///
/// With `standalone` the text is a file of its own. Otherwise it is an element for an HTML page,
/// which gives the colours: it is of the class "cell", its parts of the classes "input", "sum",
/// "output", "separable", "pool", "identity".
///
/// The layout is Graphviz's, whose library may be used by one thread at a time. Throws InvalidInput
/// where the text is no cell, or the name that of a
/// network without cells. The function is there where the library was built with Graphviz
/// (CMake: RENAS_WITH_GRAPHVIZ).
std::string draw_cell(const std::string& genome, bool standalone = false);

}  // namespace renas
