#include "renas/run_result.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/checksum.h"
#include "renas/error.h"

namespace renas {

using Json = nlohmann::ordered_json;

namespace {

Json number_or_null(const std::optional<double>& number) { return number ? Json(*number) : Json(); }

/// The number called `name`; none where it is null, or missing as in files of earlier versions.
std::optional<double> read_number(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return std::nullopt;
  return found->get<double>();
}

}  // namespace

std::string to_json(const RunResult& result) {
  Json networks = Json::array();
  for (const RetrainedNetwork& n : result.networks) {
    networks.push_back(
        {{"name", n.name},
         {"genome", n.genome},
         {"validation_accuracy", n.validation_accuracy},
         {"validation_balanced_accuracy", number_or_null(n.validation_balanced_accuracy)},
         {"test_accuracy", number_or_null(n.test_accuracy)},
         {"test_balanced_accuracy", number_or_null(n.test_balanced_accuracy)}});
  }
  return Json{{"winner", result.winner}, {"networks", std::move(networks)}}.dump(2);
}

RunResult parse_result(const std::string& text) {
  try {
    const Json json = Json::parse(text);
    RunResult result;
    result.winner = json.at("winner").get<std::string>();
    for (const Json& n : json.at("networks")) {
      RetrainedNetwork network;
      network.name = n.at("name").get<std::string>();
      network.genome = n.at("genome").get<std::string>();
      network.validation_accuracy = n.at("validation_accuracy").get<double>();
      network.validation_balanced_accuracy = read_number(n, "validation_balanced_accuracy");
      network.test_accuracy = read_number(n, "test_accuracy");
      network.test_balanced_accuracy = read_number(n, "test_balanced_accuracy");
      result.networks.push_back(std::move(network));
    }
    return result;
  } catch (const Json::exception& e) {
    throw InvalidInput(
        fmt::format("expected the result of a run, found something else ({})", e.what()));
  }
}

std::string to_json(const TrainedCell& c) {
  Json line{{"name", c.name}, {"genome", c.genome}, {"status", to_string(c.status)}};
  if (!c.message.empty()) line["message"] = c.message;
  line["validation_accuracy"] = c.validation_accuracy;
  line["validation_balanced_accuracy"] = c.validation_balanced_accuracy;
  line["test_accuracy"] = number_or_null(c.test_accuracy);
  line["test_balanced_accuracy"] = number_or_null(c.test_balanced_accuracy);
  line["parameters"] = c.parameters;
  line["mult_adds"] = c.mult_adds;
  line["seconds"] = c.seconds;
  line["rank"] = c.rank;
  return seal_json(line.dump(-1, ' ', false, Json::error_handler_t::replace));
}

TrainedCell parse_trained_cell(const std::string& text) {
  if (!is_sealed_json(text)) {
    throw InvalidInput(fmt::format("expected a result with its checksum, found '{}'", text));
  }
  try {
    const Json line = Json::parse(text);
    TrainedCell c;
    c.name = line.at("name").get<std::string>();
    c.genome = line.at("genome").get<std::string>();
    c.status = parse_status(line.at("status").get<std::string>());
    c.message = line.value("message", "");
    c.validation_accuracy = line.at("validation_accuracy").get<double>();
    c.validation_balanced_accuracy = line.at("validation_balanced_accuracy").get<double>();
    c.test_accuracy = read_number(line, "test_accuracy");
    c.test_balanced_accuracy = read_number(line, "test_balanced_accuracy");
    c.parameters = line.at("parameters").get<int64_t>();
    c.mult_adds = line.at("mult_adds").get<int64_t>();
    c.seconds = line.at("seconds").get<double>();
    c.rank = line.at("rank").get<int>();
    return c;
  } catch (const Json::exception& e) {
    throw InvalidInput(fmt::format("expected a result, found '{}' ({})", text, e.what()));
  }
}

}  // namespace renas
