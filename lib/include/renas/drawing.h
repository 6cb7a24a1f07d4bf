#pragma once

#include <string>

namespace renas {

/// Draws a cell, given as text in the paper's notation, as SVG: inputs above, operators as boxes,
/// the sums of the blocks as circles, the concatenated output below.
///
/// With `standalone` the text is a file of its own. Otherwise it is an element for an HTML page,
/// which gives the colours: it is of the class "cell", its parts of the classes "input", "sum",
/// "output", "separable", "pool", "identity".
///
/// The layout is Graphviz's, whose library may be used by one thread at a time. Throws InvalidInput
/// where the text is no cell. The function is there where the library was built with Graphviz
/// (CMake: RENAS_WITH_GRAPHVIZ).
std::string draw_cell(const std::string& genome, bool standalone = false);

}  // namespace renas
