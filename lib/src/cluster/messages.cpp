#include "cluster/messages.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "renas/error.h"

namespace renas {

namespace {

using Json = nlohmann::json;

/// `read` makes a value of the message's fields.
template <class Read>
auto parse(const std::string& text, const Read& read) {
  try {
    return read(Json::from_msgpack(text));
  } catch (const Json::exception& e) {
    throw Error(
        fmt::format("a message between ranks cannot be read ({}); do all ranks run the same "
                    "version of the program?",
                    e.what()));
  }
}

Json accuracies(const Score& score) { return Json{score.accuracy, score.balanced_accuracy}; }

Score read_accuracies(const Json& json) {
  Score score;
  score.accuracy = json.at(0).get<double>();
  score.balanced_accuracy = json.at(1).get<double>();
  return score;
}

Task read_task(const Json& json) {
  Task task;
  task.kind = static_cast<Task::Kind>(json.at("kind").get<int>());
  task.id = json.at("id").get<uint64_t>();
  task.genome = json.at("genome").get<std::string>();
  task.name = json.at("name").get<std::string>();
  task.seed = json.at("seed").get<uint64_t>();
  task.serial = json.at("serial").get<uint64_t>();
  if (json.contains("parent")) {
    task.parent = json.at("parent").get<uint64_t>();
  }
  if (json.contains("ranks")) task.ranks = json.at("ranks").get<std::vector<int>>();
  return task;
}

Report read_report(const Json& json) {
  Report r;
  r.kind = static_cast<Report::Kind>(json.at("kind").get<int>());
  r.host = json.at("host").get<std::string>();
  r.message = json.at("message").get<std::string>();
  r.mistake = json.at("mistake").get<bool>();
  r.task = json.at("task").get<std::string>();
  r.serial = json.at("serial").get<uint64_t>();
  r.data = json.at("data").get<std::string>();
  r.images = json.at("images").get<int64_t>();
  r.may_return = json.at("may_return").get<bool>();
  r.stopped = json.at("stopped").get<bool>();
  r.status = static_cast<Status>(json.at("status").get<int>());
  r.fitness = json.at("fitness").get<double>();
  r.validation = read_accuracies(json.at("validation"));
  if (!json.at("test").is_null()) r.test = read_accuracies(json.at("test"));
  r.counts = {json.at("parameters").get<int64_t>(), json.at("mult_adds").get<int64_t>()};
  r.inherited = json.at("inherited").get<double>();
  r.sums = json.at("sums").get<std::string>();
  r.seconds = json.at("seconds").get<double>();
  return r;
}

std::string pack(const Json& json) {
  std::string text;
  Json::to_msgpack(json, text);
  return text;
}

}  // namespace

std::string name_of(const Task& task) {
  return task.kind == Task::Kind::kRetrain ? "retrain " + task.name : std::to_string(task.id);
}

std::string encode(const Task& task) {
  Json json{{"kind", static_cast<int>(task.kind)},
            {"id", task.id},
            {"genome", task.genome},
            {"name", task.name},
            {"seed", task.seed},
            {"serial", task.serial}};
  if (task.parent) {
    json["parent"] = *task.parent;
  }
  if (!task.ranks.empty()) json["ranks"] = task.ranks;
  return pack(json);
}

std::string encode(const Report& r) {
  return pack({{"kind", static_cast<int>(r.kind)},
               {"host", r.host},
               {"message", r.message},
               {"mistake", r.mistake},
               {"task", r.task},
               {"serial", r.serial},
               {"data", r.data},
               {"images", r.images},
               {"may_return", r.may_return},
               {"stopped", r.stopped},
               {"status", static_cast<int>(r.status)},
               {"fitness", r.fitness},
               {"validation", accuracies(r.validation)},
               {"test", r.test ? accuracies(*r.test) : Json()},
               {"parameters", r.counts.parameters},
               {"mult_adds", r.counts.mult_adds},
               {"inherited", r.inherited},
               {"sums", r.sums},
               {"seconds", r.seconds}});
}

Task decode_task(const std::string& text) { return parse(text, read_task); }

Report decode_report(const std::string& text) { return parse(text, read_report); }

}  // namespace renas
