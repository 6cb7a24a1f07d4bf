// renas-predict says of which class pictures are, and how often a model is right.

#include <fmt/format.h>

#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>

#include "cli/environment.h"
#include "cli/frame.h"
#include "cli/options.h"
#include "cli/parallel.h"
#include "predict/pictures.h"
#include "predict/tally.h"
#include "renas/error.h"

using namespace renas;
using Json = nlohmann::ordered_json;

namespace {

constexpr const char* kDescription =
    "Says of which class pictures are, by a model that renas-search or renas-train wrote. JPEG "
    "and\n"
    "PNG files of any size are scaled and cut as the images that the model was trained on.\n"
    "Pictures whose class is known (in folders named as classes, or a data set) give accuracy, a\n"
    "confusion matrix and the most confident mistakes. Folders are read as renas-prep-images "
    "reads\n"
    "them: the first folder below the split names the class, and what lies deeper belongs to it.";

constexpr const char* kFooter =
    "Examples:\n"
    "  renas-predict runs/first/best.h5 holiday/*.jpg\n"
    "  renas-predict runs/first/best.h5 photos --split test        photos/test/CLASS/*.jpg\n"
    "  renas-predict runs/first/best.h5 photos.h5 --json > result.json\n"
    "  find . -name '*.png' | renas-predict runs/first/best.h5 - --csv --top 5\n\n"
    "Exit codes: 0 all pictures were read; 1 failed; 2 something to mend (options, files, a "
    "picture\n"
    "that cannot be read).";

constexpr int64_t kChunk = 16;             // pictures that a thread takes at a time
constexpr std::size_t kShownFolders = 10;  // that are no class

struct Settings {
  std::string model;
  cli::PictureRequest pictures;
  PredictorOptions predictor;
  int top = 3;
  bool json = false;
  bool csv = false;
  bool scores = false;
  bool each = false;
  bool skip_bad = false;
  bool as_stored = false;
};

/// What became of a picture.
struct Answer {
  std::vector<float> scores;
  std::string failure;  // why there are none
};

/// Predictors that threads take and give back. The first is there from the beginning, so that a
/// model or a device that will not do is known before anything is printed.
class Pool {
 public:
  Pool(const Model& model, const PredictorOptions& options) : model_(model), options_(options) {
    idle_.push_back(std::make_unique<Predictor>(model_, options_));
  }

  template <class Work>
  void use(const Work& work) {
    std::unique_ptr<Predictor> mine;
    {
      const std::lock_guard lock(mutex_);
      if (!idle_.empty()) {
        mine = std::move(idle_.back());
        idle_.pop_back();
      }
    }
    if (!mine) mine = std::make_unique<Predictor>(model_, options_);
    work(*mine);
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(mine));
  }

 private:
  const Model& model_;
  const PredictorOptions& options_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Predictor>> idle_;
};

std::string quoted(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string result = "\"";
  for (const char c : text) result += c == '"' ? "\"\"" : std::string(1, c);
  return result + "\"";
}

/// JSON as text. Names of files, folders and classes need not be UTF-8: what is not is replaced.
std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// The first of the names, and how many more there are.
std::string some_of(const std::map<std::string, int64_t>& names) {
  std::string text;
  std::size_t shown = 0;
  for (const auto& [name, pictures] : names) {
    if (shown == kShownFolders) return fmt::format("{} and {} more", text, names.size() - shown);
    text += (shown++ == 0 ? "" : ", ") + name;
  }
  return text;
}

/// Prints answers in the form that was asked for, and counts.
class Printer {
 public:
  Printer(const Settings& settings, const cli::Pictures& pictures, std::vector<std::string> names)
      : s_(settings), pictures_(pictures), names_(std::move(names)), tally_(names_) {
    if (s_.json) fmt::print("{{\"model\": {},\n\"pictures\": [", text_of(s_.model));
    if (s_.csv) print_csv_head();
  }

  void take(int64_t i, const Answer& answer) {
    const std::string name = pictures_.name(i);
    if (!answer.failure.empty()) {
      cli::say(fmt::format("renas-predict: {}: {}\n", name, answer.failure));
      unreadable_.push_back({{"picture", name}, {"reason", answer.failure}});
      return;
    }
    const std::vector<float> probabilities = softmax(answer.scores);
    const std::vector<int> said = largest(probabilities, std::max(5, s_.top));
    const std::optional<int> label = pictures_.label(i);
    if (label) {
      tally_.add(name, *label, said, probabilities[static_cast<std::size_t>(said.front())]);
    }
    const auto shown = std::min(said.size(), static_cast<std::size_t>(s_.top));
    const std::vector<int> best(said.begin(), said.begin() + static_cast<std::ptrdiff_t>(shown));
    const std::vector<float>& values = s_.scores ? answer.scores : probabilities;
    if (s_.json) {
      print_json(name, label, best, values, answer.scores);
    } else if (s_.csv) {
      print_csv(name, label, best, values);
    } else if (s_.each || !label) {
      print_text(name, best, values);
    }
    ++read_;
  }

  int finish() {
    const std::map<std::string, int64_t> no_class = pictures_.no_class();
    if (s_.json) {
      fmt::print("\n],\n\"unreadable\": {},\n\"no_class\": {}", text_of(unreadable_),
                 text_of(no_class));
      if (tally_.count() > 0) fmt::print(",\n\"evaluation\": {}", text_of(tally_.json()));
      fmt::print("}}\n");
    } else if (!s_.csv && tally_.count() > 0) {
      fmt::print("{}", tally_.text());
    }
    if (!no_class.empty()) {
      int64_t count = 0;
      for (const auto& [folder, pictures] : no_class) count += pictures;
      cli::say(fmt::format(
          "renas-predict: {} pictures lie in folders that are no class of the model: {}\n", count,
          some_of(no_class)));
    }
    if (unreadable_.empty()) return cli::kDone;
    cli::say(fmt::format("renas-predict: {} of {} pictures could not be read{}\n",
                         unreadable_.size(), pictures_.size(),
                         s_.skip_bad ? "" : " (--skip-bad leaves them out)"));
    return s_.skip_bad && read_ > 0 ? cli::kDone : cli::kMistake;
  }

 private:
  const std::string& name_of(int label) const { return names_[static_cast<std::size_t>(label)]; }

  void print_csv_head() const {
    fmt::print("picture,label");
    for (int k = 1; k <= std::min<int>(s_.top, static_cast<int>(names_.size())); ++k) {
      fmt::print(",class{},{}{}", k, s_.scores ? "score" : "probability", k);
    }
    fmt::print("\n");
  }

  void print_csv(const std::string& name, std::optional<int> label, const std::vector<int>& best,
                 const std::vector<float>& values) const {
    fmt::print("{},{}", quoted(name), label ? quoted(name_of(*label)) : "");
    for (const int k : best) {
      fmt::print(",{},{}", quoted(name_of(k)), values[static_cast<std::size_t>(k)]);
    }
    fmt::print("\n");
  }

  void print_json(const std::string& name, std::optional<int> label, const std::vector<int>& best,
                  const std::vector<float>& values, const std::vector<float>& scores) {
    Json predictions = Json::array();
    for (const int k : best) {
      predictions.push_back(
          {{"class", name_of(k)},
           {s_.scores ? "score" : "probability", values[static_cast<std::size_t>(k)]}});
    }
    Json line{{"picture", name}};
    if (label) line["label"] = name_of(*label);
    line["predictions"] = predictions;
    if (s_.scores) line["scores"] = scores;
    fmt::print("{}\n{}", read_ == 0 ? "" : ",", text_of(line));
  }

  void print_text(const std::string& name, const std::vector<int>& best,
                  const std::vector<float>& values) const {
    fmt::print("{}", name);
    for (const int k : best) {
      const float value = values[static_cast<std::size_t>(k)];
      fmt::print("  {} {}", name_of(k),
                 s_.scores ? fmt::format("{:.4f}", value) : fmt::format("{:.1f} %", 100 * value));
    }
    fmt::print("\n");
  }

  const Settings& s_;
  const cli::Pictures& pictures_;
  std::vector<std::string> names_;
  cli::Tally tally_;
  Json unreadable_ = Json::array();
  int64_t read_ = 0;
};

int predict(Settings& s) {
  if (s.json && s.csv) throw InvalidInput("--json and --csv: expected one of them");
  s.predictor.upright = !s.as_stored;
  const Model model = load_model(s.model);
  s.pictures.class_names = model.class_names;
  s.pictures.classes = model.network.classes;
  std::vector<std::string> names = model.class_names;
  for (int i = static_cast<int>(names.size()); i < model.network.classes; ++i) {
    names.push_back(std::to_string(i));
  }
  const std::unique_ptr<cli::Pictures> pictures = cli::find_pictures(s.pictures);
  const int64_t chunks = (pictures->size() + kChunk - 1) / kChunk;
  int threads = s.predictor.device.threads;
  if (threads == 0) threads = cli::default_threads().count;
  threads = static_cast<int>(std::min<int64_t>(threads, chunks));
  s.predictor.device.threads = 1;  // pictures need nothing from each other

  Pool pool(model, s.predictor);
  Printer printer(s, *pictures, std::move(names));
  const auto work = [&](int64_t chunk) {
    std::vector<Answer> answers;
    pool.use([&](Predictor& predictor) {
      const int64_t end = std::min((chunk + 1) * kChunk, pictures->size());
      for (int64_t i = chunk * kChunk; i < end; ++i) {
        Answer answer;
        try {
          answer.scores = pictures->scores(i, predictor);
        } catch (const InvalidInput& e) {
          answer.failure = e.what();
        } catch (const IoError& e) {
          answer.failure = e.what();
        }
        answers.push_back(std::move(answer));
      }
    });
    return answers;
  };
  const auto take = [&](int64_t chunk, const std::vector<Answer>& answers) {
    for (std::size_t k = 0; k < answers.size(); ++k) {
      printer.take(chunk * kChunk + static_cast<int64_t>(k), answers[k]);
    }
  };
  cli::in_order<std::vector<Answer>>(chunks, threads, work, take);
  return printer.finish();
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(kDescription, "renas-predict");
  cli::prepare(app);
  app.footer(kFooter);
  Settings s;
  s.predictor.device.threads = 0;
  app.add_option("model", s.model, "Model file (best.h5)")->required();
  app.add_option(
         "pictures", s.pictures.inputs,
         "JPEG and PNG files, folders of them, or one data set in HDF5; -: standard input, a "
         "picture or names of files, one a line")
      ->required();
  app.add_option(
      "--split", s.pictures.split,
      "Split of a folder or data set that has several; empty: test, else val (a folder may "
      "also be called valid, validation or dev), else train");
  app.add_option("--top", s.top, "How many classes to name")->check(CLI::Range(1, 1000000));
  app.add_flag("--each", s.each, "Print every picture, also where their classes are known");
  app.add_flag("--scores", s.scores, "Scores before softmax in place of probabilities");
  app.add_flag("--json", s.json, "Print JSON; with --scores all scores of each picture");
  app.add_flag("--csv", s.csv, "Print CSV, a line a picture");
  app.add_flag("--skip-bad", s.skip_bad,
               "Pictures that cannot be read are named and left out: exit code 0");
  app.add_flag("--as-stored", s.as_stored,
               "Do not turn pictures as their EXIF orientation says; for models whose data were "
               "prepared with --as-stored");
  cli::add_device_options(app, s.predictor.device);
  return cli::run(app, argc, argv, [&] { return predict(s); });
}
