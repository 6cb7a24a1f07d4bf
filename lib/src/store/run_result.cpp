#include "renas/run_result.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "renas/error.h"

namespace renas {

using Json = nlohmann::ordered_json;

std::string to_json(const RunResult& result) {
  Json networks = Json::array();
  for (const RetrainedNetwork& n : result.networks) {
    networks.push_back({{"name", n.name},
                        {"genome", n.genome},
                        {"validation_accuracy", n.validation_accuracy},
                        {"test_accuracy", n.test_accuracy ? Json(*n.test_accuracy) : Json()}});
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
      if (!n.at("test_accuracy").is_null()) {
        network.test_accuracy = n.at("test_accuracy").get<double>();
      }
      result.networks.push_back(std::move(network));
    }
    return result;
  } catch (const Json::exception& e) {
    throw InvalidInput(
        fmt::format("expected the result of a run, found something else ({})", e.what()));
  }
}

}  // namespace renas
