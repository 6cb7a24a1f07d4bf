// What a run ends in: labels for pictures, files for others, a page; and what they answer to
// mistakes.

#include <fmt/format.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/console.h"
#include "renas/image.h"
#include "renas/model.h"
#include "renas/predictor.h"
#include "renas/run_directory.h"
#include "support/files.h"
#include "support/pairs.h"
#include "support/toy_search.h"

using namespace renas::test;
namespace fs = std::filesystem;
using Json = nlohmann::json;

namespace {

void says(const Ran& ran, int code, const std::string& part) {
  BOOST_TEST(ran.code == code, ran.output);
  BOOST_TEST(ran.output.find(part) != std::string::npos,
             "'" << ran.output << "' does not say '" << part << "'");
}

void write_file(const std::string& path, const std::vector<uint8_t>& bytes) {
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

/// A finished toy run, made once, its images as a tree of PNG files, and a model with class names.
struct Fixture {
  Fixture() {
    write_toy_file(folder() / "data.h5");
    const Ran ran = run_command(toy_search(folder(), "run"));
    BOOST_REQUIRE_MESSAGE(ran.code == 0, ran.output);
    renas::Model model = renas::load_model(folder() / "run/best.h5");
    model.class_names = {"left", "middle", "right, far"};
    renas::save_model(folder() / "named.h5", model);
    const renas::SearchData data = toy_data(30, 3, 77);
    std::vector<uint8_t> buffer;
    for (int64_t i = 0; i < data.images.size(); ++i) {
      const auto pixels = data.images.image(i, buffer);
      const auto& name = model.class_names[static_cast<std::size_t>(data.images.labels()[i])];
      write_file(folder() / ("tree/test/" + name + "/" + std::to_string(i) + ".png"),
                 renas::encode_lossless({data.images.shape(), {pixels.begin(), pixels.end()}}));
    }
    fs::create_directories(folder() / "tree/train/left");
  }
  static TemporaryFolder& folder() {
    static TemporaryFolder one;
    return one;
  }
};

const TemporaryFolder& made() {
  static const Fixture fixture;
  return Fixture::folder();
}

std::string predict(const std::string& arguments) {
  return kPrograms + "renas-predict '" + (made() / "named.h5") + "' " + arguments;
}

/// Runs a command for its standard output alone.
Ran alone(const std::string& command) { return run_command("{ " + command + " 2> /dev/null; }"); }

}  // namespace

BOOST_AUTO_TEST_SUITE(use)

BOOST_AUTO_TEST_CASE(a_data_set_gives_the_accuracy_that_the_run_found) {
  const Ran ran = alone(kPrograms + "renas-predict '" + (made() / "run/best.h5") + "' '" +
                        (made() / "data.h5") + "' --json");
  BOOST_REQUIRE_MESSAGE(ran.code == 0, ran.output);
  const Json found = Json::parse(ran.output)["evaluation"];
  const auto run = renas::RunDirectory::open(made() / "run");
  const renas::RunResult result = run.load_result().value();
  for (const renas::RetrainedNetwork& n : result.networks) {
    if (n.name != result.winner) continue;
    BOOST_TEST(found["accuracy"].get<double>() == n.test_accuracy.value());
    BOOST_TEST(found["balanced_accuracy"].get<double>() == n.test_balanced_accuracy.value(),
               boost::test_tools::tolerance(1e-12));
  }
  int64_t sum = 0;
  for (const auto& row : found["confusion_matrix"]) {
    for (const int64_t n : row) sum += n;
  }
  BOOST_TEST(sum == 96);
}

BOOST_AUTO_TEST_CASE(pictures_in_folders_named_as_classes) {
  const Ran text = run_command(predict("'" + (made() / "tree") + "'"));
  says(text, 0, "confusion matrix");
  says(text, 0, "has splits, of which test is taken");
  // One thread and several, one form and another: one answer.
  const Ran one = alone(predict("'" + (made() / "tree") + "' --csv --threads 1"));
  const Ran four = alone(predict("'" + (made() / "tree") + "' --csv --threads 4"));
  BOOST_TEST(one.output == four.output);
  BOOST_TEST(one.output.starts_with("picture,label,class1,probability1,"), one.output);
  BOOST_TEST(one.output.find(",\"right, far\",") != std::string::npos, one.output);
  const Json json =
      Json::parse(alone(predict("'" + (made() / "tree") + "' --json --scores --top 1")).output);
  BOOST_TEST(json["pictures"].size() == 30);
  int right = 0;
  renas::Predictor predictor(made() / "named.h5");
  for (const auto& picture : json["pictures"]) {
    right += picture["label"] == picture["predictions"][0]["class"] ? 1 : 0;
    const std::string bytes = content_of(picture["picture"].get<std::string>());
    const auto scores =
        predictor.scores({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
    BOOST_TEST(picture["scores"].get<std::vector<float>>() == scores,
               boost::test_tools::per_element());
  }
  BOOST_TEST(json["evaluation"]["correct"] == right);
}

BOOST_AUTO_TEST_CASE(pictures_and_names_on_standard_input) {
  const std::string picture = "'" + (made() / "tree/test/left/0.png") + "'";
  says(run_command(predict("- < " + picture)), 0, "%");
  const Ran names = run_command("echo " + picture + " | " + predict("- --top 2"));
  const Ran direct = run_command(predict(picture + " --top 2"));
  says(names, 0, "left/0.png");
  BOOST_TEST(names.output == direct.output);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_read_is_named_and_counted) {
  const std::string good = "'" + (made() / "tree/test/left/0.png") + "' ";
  const std::string bad = made() / "bad.jpg";
  std::ofstream(bad) << "no picture";
  const Ran ran = run_command(predict(good + "'" + bad + "'"));
  says(ran, 2, "bad.jpg: neither JPEG nor PNG");
  says(ran, 2, "1 of 2 pictures could not be read");
  says(run_command(predict(good + "'" + bad + "' --skip-bad")), 0, "1 of 2");
  says(run_command(predict("'" + bad + "' --skip-bad")), 2, "1 of 1");
  says(run_command(predict("missing.jpg")), 2, "missing.jpg: there is no such file");
  says(run_command(predict("/dev/null/x.jpg")), 2, "no such file");
  says(run_command(predict("'" + (made() / "tree") + "' --split val")), 2, "--split val");
  says(run_command(predict("'" + (made() / "data.h5") + "' --split val")), 2, "train, test");
  says(run_command(predict("'" + (made() / "run/weights") + "'")), 2, "no JPEG or PNG");
  says(run_command(kPrograms + "renas-predict '" + (made() / "data.h5") + "' " + good), 2,
       "renas-model");
  says(run_command("echo | " + predict("-")), 2, "names no pictures");
}

BOOST_AUTO_TEST_CASE(json_is_not_begun_where_no_picture_can_be_predicted) {
  const std::string without_gpus =
      "CUDA_VISIBLE_DEVICES= " + predict("'" + (made() / "tree") + "' --json --backend cudnn");
  says(run_command(without_gpus), 2, "cudnn");
  BOOST_TEST(alone(without_gpus).output.empty());
}

BOOST_AUTO_TEST_CASE(exports_replace_nothing_by_accident) {
  const std::string run = kPrograms + "renas-export '" + (made() / "named.h5") + "' ";
  const std::string module = "--pytorch '" + (made() / "net.py") + "'";
  says(run_command(run + module), 0, "net.py");
  BOOST_TEST(fs::exists(made() / "net.safetensors"));
  says(run_command(run + module), 2, "--force");
  says(run_command(run + module + " --force"), 0, "net.py");
  says(run_command(run), 2, "OUT.onnx");
  says(run_command(run + "--pytorch '" + (made() / "other.txt") + "'"), 2, ".py");
  says(run_command(run + "--pytorch /nowhere/net.py"), 2, "/nowhere");
#ifdef RENAS_WITH_ONNX
  const std::string onnx = "'" + (made() / "net.onnx") + "' ";
  says(run_command(run + onnx + "--normalise bytes --softmax"), 0, "probabilities of 3 classes");
  says(run_command(run + onnx), 2, "--force");
  says(run_command(run + "/nowhere/net.onnx"), 2, "/nowhere");
  says(run_command(kPrograms + "renas-export '" + (made() / "data.h5") + "' '" +
                   (made() / "other.onnx") + "'"),
       2, "renas-model");
  BOOST_TEST(!fs::exists(made() / "other.onnx"));
#else
  says(run_command(run + "'" + (made() / "net.onnx") + "'"), 1, "libonnx-dev");
#endif
}

BOOST_AUTO_TEST_CASE(the_page_says_what_the_files_say_and_its_command_repeats_the_run) {
  says(run_command(kPrograms + "renas-report '" + (made() / "run") + "'"), 0, "report.html");
  const std::string page = content_of(made() / "run/report.html");
  const auto run = renas::RunDirectory::open(made() / "run");
  const auto result = run.load_result().value();
  for (const renas::RetrainedNetwork& n : result.networks) {
    BOOST_TEST(page.find(n.genome) != std::string::npos, n.genome);
    if (!n.test_accuracy) continue;
    BOOST_TEST(page.find(fmt::format("{:.2f} % [", 100 * *n.test_accuracy)) != std::string::npos);
  }
  for (const char* outside : {"http://", "https://", "<script", "src="}) {
    std::string left = page;  // the name of SVG's language is no address
    for (auto at = left.find("http://www.w3.org/"); at != left.npos;
         at = left.find("http://www.w3.org/")) {
      left.erase(at, 18);
    }
    BOOST_TEST(left.find(outside) == std::string::npos, outside);
  }
#ifdef RENAS_WITH_GRAPHVIZ
  BOOST_TEST(page.find("class=\"cell\"") != std::string::npos);
#endif
  const auto from = page.find("<pre>") + 5;
  std::string command = page.substr(from, page.find("</pre>") - from);
  const std::string word = "NEW_FOLDER";
  command.replace(command.find(word), word.size(), "'" + (made() / "again") + "'");
  BOOST_TEST(command.find("--threads 1") != std::string::npos, command);
  const Ran again = run_command(kPrograms + command);
  BOOST_TEST(again.code == 0, command << again.output);
  BOOST_TEST(history_of(made() / "again") == history_of(made() / "run"));
}

BOOST_AUTO_TEST_CASE(pages_of_unfinished_and_of_several_runs_and_of_none) {
  const std::string report = kPrograms + "renas-report ";
  // As a run is that was killed after five results.
  fs::copy(made() / "run", made() / "half", fs::copy_options::recursive);
  for (const char* late : {"result.json", "best.h5", "search_over"})
    fs::remove(made() / ("half/" + std::string(late)));
  fs::remove(made() / "half/search.h5");
  std::istringstream lines(content_of(made() / "run/history.jsonl"));
  std::ofstream half(made() / "half/history.jsonl");
  std::string line;
  for (int i = 0; i < 5 && std::getline(lines, line); ++i) half << line << "\n";
  half.close();
  says(run_command(report + "'" + (made() / "half") + "'"), 0, "report.html");
  BOOST_TEST(content_of(made() / "half/report.html").find("not finished, 5 of 12 results") !=
             std::string::npos);
  const std::string both = "'" + (made() / "run") + "' '" + (made() / "half") + "' ";
  says(run_command(report + both), 2, "OUT.html");
  const std::string page = "'" + (made() / "both.html") + "'";
  says(run_command(report + both + page), 0, "both.html");
  says(run_command(report + both + page), 2, "--force");
  BOOST_TEST(content_of(made() / "both.html").find("Side by side") != std::string::npos);
  std::ofstream(made() / "half/history.jsonl");
  says(run_command(report + "'" + (made() / "half") + "'"), 2, "no results yet");
  says(run_command(report + "'" + (made() / "tree") + "'"), 2, "is not a run");
  says(run_command(report + "'" + (made() / "run") + "' /nowhere/page.html"), 2, "/nowhere");
}

BOOST_AUTO_TEST_CASE(the_pareto_front_and_a_drawing) {
  const Ran ran = alone(kPrograms + "renas-inspect run '" + (made() / "run") + "' --pareto --json");
  BOOST_REQUIRE_MESSAGE(ran.code == 0, ran.output);
  const auto history = renas::RunDirectory::open(made() / "run").history();
  const Json fronts = Json::parse(ran.output);
  for (const char* size : {"parameters", "mult_adds"}) {
    for (const auto& e : fronts[size]) {
      for (const renas::HistoryEntry& other : history) {
        const int64_t smaller =
            std::string(size) == "parameters" ? other.parameters : other.mult_adds;
        const bool beats =
            other.fitness >= e["fitness"].get<double>() && smaller <= e[size].get<int64_t>() &&
            (other.fitness > e["fitness"].get<double>() || smaller < e[size].get<int64_t>());
        BOOST_TEST(!beats, e.dump());
      }
    }
    BOOST_TEST(!fronts[size].empty());
  }
#ifdef RENAS_WITH_GRAPHVIZ
  const Ran drawing = run_command(kPrograms + "renas-inspect genome renasnet --svg");
  says(drawing, 0, "</svg>");
  says(drawing, 0, "sep 5×5");
  const Ran two = run_command(kPrograms + "renas-inspect genome nasnet-a --svg");
  says(two, 0, "normal cell");
  says(two, 0, "reduction cell");
  says(two, 0, "sep 7×7");  // it is in the reduction cell alone
  says(run_command(kPrograms + "renas-inspect genome nonsense --svg"), 2, "did you mean");
  says(run_command(kPrograms + "renas-inspect genome resnet-20 --svg"), 2, "not made of cells");
#endif
}

BOOST_AUTO_TEST_CASE(a_bar_never_fills_more_than_its_line) {
  using renas::cli::bar_and_line;
  BOOST_TEST(bar_and_line(0.5, "search 5/10", 24) == "[#####.....] search 5/10");
  BOOST_TEST(bar_and_line(1.0, "x", 200) == "[" + std::string(30, '#') + "] x");
  BOOST_TEST(bar_and_line(0.999, "x", 200) == "[" + std::string(29, '#') + ".] x");
  BOOST_TEST(bar_and_line(0.5, "search 5/10", 12) == "search 5/10");
  BOOST_TEST(bar_and_line(0.5, "search 5/10", 6) == "search");
  BOOST_TEST(bar_and_line(std::nullopt, "search 5/10", 200) == "search 5/10");
}

BOOST_AUTO_TEST_CASE(files_are_read_from_python_as_their_documents_say) {
  const TemporaryFolder folder;
  fs::copy(made() / "named.h5", folder / "best.h5");
  fs::copy(made() / "data.h5", folder / "cifar10.h5");
  fs::copy(made() / "run/history.jsonl", folder / "history.jsonl");
  write_stripes(folder / "voc.h5", 4, 2, 20);
  const char* python = std::getenv("RENAS_PYTHON");
  const std::string source = RENAS_SOURCE_DIR;
  const Ran ran =
      run_command("cd '" + folder.path() + "' && " + (python != nullptr ? python : "python3") +
                  " '" + source + "/tests/programs/format_snippets.py' '" + source +
                  "/lib/src/store/FORMAT.md' '" + source + "/lib/src/data/FORMAT.md'");
  if (ran.code == 77 || ran.code == 127) {
    std::cout << "SKIPPED, the snippets of FORMAT.md: " << ran.output
              << "RENAS_PYTHON names a Python that has h5py and Pillow\n";
    return;
  }
  says(ran, 0, "store/FORMAT.md: 2 ran");
}

BOOST_AUTO_TEST_SUITE_END()
