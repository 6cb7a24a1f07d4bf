#pragma once

#include <string>
#include <vector>

#include "renas/report.h"

namespace renas {

// The parts of the page, as HTML.

/// All that is told of one run.
std::string run_sections(const RunRecord& run);
/// The key figures of one run, as tiles.
std::string key_figures(const RunRecord& run);
/// Several runs beside each other: curves, those of one strategy as their mean with its interval,
/// and a table of results.
std::string comparison(const std::vector<RunRecord>& runs);
/// What has become of a run, in a few words.
std::string state_of(const RunRecord& run);
/// The figure of a cell: its drawing where there is Graphviz, else its blocks as a list.
std::string cell_figure(const std::string& genome, const std::string& caption);

/// The style of the page.
extern const char* const kReportStyle;

}  // namespace renas
