#include "renas/report.h"

#include <fmt/format.h>

#include "core/files.h"
#include "export/report/chart.h"
#include "export/report/sections.h"

namespace renas {

std::string report_page(const std::vector<RunRecord>& runs) {
  std::string title = runs.size() == 1 ? runs.front().name : fmt::format("{} runs", runs.size());
  std::string body;
  if (runs.size() == 1) {
    const RunRecord& run = runs.front();
    body = fmt::format("<header><h1>{}</h1><p>Strategy {}, seed {}: {}</p></header>\n{}{}",
                       escape(title), escape(run.strategy), run.seed, escape(state_of(run)),
                       key_figures(run), run_sections(run));
  } else {
    body = fmt::format("<header><h1>{}</h1></header>\n{}", escape(title), comparison(runs));
    for (const RunRecord& run : runs) {
      body += fmt::format(
          "<details class=\"run\"><summary>{}: {}, seed {}, {}</summary>\n{}{}</details>\n",
          escape(run.name), escape(run.strategy), run.seed, escape(state_of(run)), key_figures(run),
          run_sections(run));
    }
  }
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<title>{} - RENAS</title>\n<style>{}</style></head>\n<body><main>\n{}"
      "<footer>Written by renas-report, RENAS {}. Figures are those of history.jsonl and "
      "result.json of the run's folder.</footer>\n</main></body></html>\n",
      escape(title), kReportStyle, body, RENAS_VERSION);
}

void write_report(const std::string& path, const std::vector<RunRecord>& runs) {
  write_text(path, report_page(runs));
}

}  // namespace renas
