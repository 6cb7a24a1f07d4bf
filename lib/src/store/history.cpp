#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/checksum.h"
#include "renas/error.h"
#include "renas/run_directory.h"

namespace renas {

namespace {

using Json = nlohmann::ordered_json;

Json optional_id(const std::optional<uint64_t>& id) { return id ? Json(*id) : Json(nullptr); }

std::optional<uint64_t> read_id(const Json& value) {
  if (value.is_null()) return std::nullopt;
  return value.get<uint64_t>();
}

}  // namespace

std::string to_json(const HistoryEntry& e) {
  Json line;
  line["line"] = e.line;
  line["id"] = e.id;
  line["parent"] = optional_id(e.parent);
  line["removed"] = optional_id(e.removed);
  line["genome"] = e.genome;
  Json mutations = Json::array();
  for (const Mutation& m : e.mutations) {
    mutations.push_back({{"block", m.block}, {"slot", m.slot}, {"from", m.from}, {"to", m.to}});
  }
  line["mutations"] = std::move(mutations);
  line["status"] = to_string(e.status);
  if (!e.message.empty()) line["message"] = e.message;
  line["fitness"] = e.status == Status::kOk ? Json(e.fitness) : Json(nullptr);
  line["parameters"] = e.parameters;
  line["mult_adds"] = e.mult_adds;
  line["inherited"] = e.inherited;
  line["seconds"] = e.seconds;
  line["elapsed"] = e.elapsed;
  line["rank"] = e.rank;
  line["asked"] = e.asked;
  return seal_json(line.dump(-1, ' ', false, Json::error_handler_t::replace));
}

HistoryEntry parse_history_line(const std::string& text) {
  if (!is_sealed_json(text)) {
    throw InvalidInput(
        fmt::format("expected a line of a history with its checksum, found '{}'", text));
  }
  try {
    const Json line = Json::parse(text);
    HistoryEntry e;
    e.line = line.at("line").get<uint64_t>();
    e.id = line.at("id").get<uint64_t>();
    e.parent = read_id(line.at("parent"));
    e.removed = read_id(line.at("removed"));
    e.genome = line.at("genome").get<std::string>();
    for (const Json& m : line.at("mutations")) {
      e.mutations.push_back({m.at("block").get<int>(), m.at("slot").get<int>(),
                             m.at("from").get<int>(), m.at("to").get<int>()});
    }
    e.status = parse_status(line.at("status").get<std::string>());
    e.message = line.value("message", "");
    if (e.status == Status::kOk) e.fitness = line.at("fitness").get<double>();
    e.parameters = line.at("parameters").get<int64_t>();
    e.mult_adds = line.at("mult_adds").get<int64_t>();
    e.inherited = line.at("inherited").get<double>();
    e.seconds = line.at("seconds").get<double>();
    e.elapsed = line.at("elapsed").get<double>();
    e.rank = line.at("rank").get<int>();
    e.asked = line.at("asked").get<uint64_t>();
    return e;
  } catch (const nlohmann::json::exception& e) {
    throw InvalidInput(
        fmt::format("expected one JSON object of a history, found '{}' ({})", text, e.what()));
  }
}

namespace {

/// Whether `text` is one or more complete lines, each with a checksum that holds.
bool are_whole_lines(std::string_view text) {
  if (text.empty() || text.back() != '\n') return false;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (!is_sealed_json(text.substr(0, end))) return false;
    text.remove_prefix(end + 1);
  }
  return true;
}

class HistoryReader {
 public:
  History read(std::string_view text) {
    while (!text.empty()) {
      const std::size_t end = text.find('\n');
      const bool complete = end != std::string_view::npos;
      const std::string_view piece = text.substr(0, complete ? end + 1 : text.size());
      text.remove_prefix(piece.size());
      ++pieces_;
      if (are_whole_lines(piece)) {
        take(std::string(piece.substr(0, piece.size() - 1)));
      } else if (const auto mended = repair_bit(std::string(piece), are_whole_lines)) {
        history_.repairs.push_back(
            fmt::format("line {} had a flipped bit, which its checksum mends", pieces_));
        for (std::string_view rest = *mended; !rest.empty();) {
          take(std::string(rest.substr(0, rest.find('\n'))));
          rest.remove_prefix(rest.find('\n') + 1);
        }
      } else if (complete) {
        ++damaged_;
      } else {
        --pieces_;
      }
    }
    return std::move(*this).result();
  }

 private:
  void take(const std::string& line) {
    try {
      history_.entries.push_back(parse_history_line(line));
    } catch (const InvalidInput&) {
      ++damaged_;
    }
  }

  History result() && {
    std::vector<HistoryEntry>& entries = history_.entries;
    const auto by_line = [](const HistoryEntry& a, const HistoryEntry& b) {
      return a.line < b.line;
    };
    if (!std::is_sorted(entries.begin(), entries.end(), by_line)) {
      history_.repairs.push_back("lines stand in another order than they were written in");
      std::stable_sort(entries.begin(), entries.end(), by_line);
    }
    const auto same = [](const HistoryEntry& a, const HistoryEntry& b) { return a.line == b.line; };
    const auto repeated = std::unique(entries.begin(), entries.end(), same);
    if (repeated != entries.end()) {
      history_.repairs.push_back("a line stands there twice");
      entries.erase(repeated, entries.end());
    }
    for (const HistoryEntry& e : entries) {
      for (; history_.lines < e.line; ++history_.lines) history_.missing.push_back(history_.lines);
      ++history_.lines;
    }
    // Damaged lines that leave no gap between others were the last ones.
    for (; damaged_ > history_.missing.size(); ++history_.lines) {
      history_.missing.push_back(history_.lines);
    }
    return std::move(history_);
  }

  History history_;
  uint64_t pieces_ = 0;
  std::size_t damaged_ = 0;
};

}  // namespace

History parse_history(const std::string& text) { return HistoryReader().read(text); }

}  // namespace renas
