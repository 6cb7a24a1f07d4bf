#include <fmt/format.h>

#include <nlohmann/json.hpp>

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

Status parse_status(const std::string& text) {
  for (const Status s :
       {Status::kOk, Status::kDiverged, Status::kOutOfMemory, Status::kLost}) {
    if (text == to_string(s)) return s;
  }
  throw InvalidInput(fmt::format("status '{}' is unknown", text));
}

}  // namespace

std::string to_json(const HistoryEntry& e) {
  Json line;
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
  return line.dump(-1, ' ', false, Json::error_handler_t::replace);
}

HistoryEntry parse_history_line(const std::string& text) {
  try {
    const Json line = Json::parse(text);
    HistoryEntry e;
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
    throw InvalidInput(fmt::format("expected one JSON object of a history, found '{}' ({})", text,
                                   e.what()));
  }
}

}  // namespace renas
