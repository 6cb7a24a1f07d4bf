#include "labels.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <optional>
#include <string_view>

#include "names.h"
#include "renas/error.h"

namespace renas::prep {
namespace {

constexpr std::string_view kBlanks = " \t";

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

/// The fields of a line; `separator` is a character, or a blank for any run of blanks. Returns
/// nothing where a quote is not closed.
std::optional<std::vector<std::string>> fields_of(std::string_view line, char separator) {
  const bool blanks = separator == ' ';
  const auto separates = [&](char c) {
    return blanks ? kBlanks.find(c) != std::string_view::npos : c == separator;
  };
  std::vector<std::string> fields;
  std::size_t at = 0;
  while (true) {
    while (at < line.size() && (line[at] == ' ' || (line[at] == '\t' && !separates('\t')))) ++at;
    if (blanks && at == line.size()) return fields;
    std::string field;
    if (at < line.size() && line[at] == '"') {
      for (++at;; ++at) {
        if (at == line.size()) return {};
        if (line[at] != '"') {
          field.push_back(line[at]);
        } else if (at + 1 < line.size() && line[at + 1] == '"') {
          field.push_back(line[at++]);
        } else {
          break;
        }
      }
      ++at;
    }
    while (at < line.size() && !separates(line[at])) field.push_back(line[at++]);
    fields.emplace_back(trimmed(field));
    if (at == line.size()) return fields;
    ++at;
    if (blanks) {
      while (at < line.size() && separates(line[at])) ++at;
    }
  }
}

bool has_outside_quotes(std::string_view line, char wanted) {
  bool quoted = false;
  for (const char c : line) {
    if (c == '"') quoted = !quoted;
    if (c == wanted && !quoted) return true;
  }
  return false;
}

/// The first of tab, semicolon and comma that `line` has; a blank where it has none.
char separator_of(std::string_view line) {
  for (const char c : {'\t', ';', ','}) {
    if (has_outside_quotes(line, c)) return c;
  }
  return ' ';
}

/// The first of them that every line has; nothing where there is none.
std::optional<char> common_separator(const std::vector<std::string_view>& lines) {
  for (const char c : {'\t', ';', ','}) {
    const bool all = std::all_of(lines.begin(), lines.end(), [c](std::string_view line) {
      return line.empty() || has_outside_quotes(line, c);
    });
    if (all) return c;
  }
  return {};
}

struct Columns {
  std::size_t name = 0;
  std::size_t label = 1;
  bool boxes = false;  // behind the class, as ImageNet's PredictionString has them
};

/// The columns that a first line names; nothing where it is no header.
std::optional<Columns> header_columns(const std::vector<std::string>& fields) {
  static constexpr std::string_view kNames[] = {
      "filename",  "file", "filepath", "fname",   "image", "imageid", "imagename", "imagepath",
      "imagefile", "img",  "imgname",  "imgpath", "id",    "name",    "path",      "picture"};
  static constexpr std::string_view kLabels[] = {
      "label",   "labels",     "labelname", "class",        "classname",
      "classid", "classlabel", "category",  "categoryname", "target",
      "species", "breed",      "y",         "wnid",         "predictionstring"};
  std::optional<std::size_t> name;
  std::optional<std::size_t> label;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    std::string word = lower_case(fields[i]);
    std::erase_if(word, [](char c) { return c == '_' || c == '-' || c == ' '; });
    const auto is_one_of = [&word](const auto& words) {
      return std::find(std::begin(words), std::end(words), word) != std::end(words);
    };
    if (!name && is_one_of(kNames)) name = i;
    if (!label && is_one_of(kLabels)) label = i;
  }
  if (!name || !label) return {};
  return Columns{*name, *label, lower_case(fields[*label]) == "predictionstring"};
}

std::string first_word(const std::string& text) { return text.substr(0, text.find(' ')); }

/// The class of "n01440764 240 82 438 407": a name and four whole numbers a box.
std::string without_boxes(const std::string& label) {
  const std::optional<std::vector<std::string>> words = fields_of(label, ' ');
  if (!words || words->size() < 5) return label;
  const bool boxes = std::all_of(words->begin() + 1, words->begin() + 5, [](const auto& word) {
    return !word.empty() && std::all_of(word.begin(), word.end(),
                                        [](unsigned char c) { return std::isdigit(c) != 0; });
  });
  return boxes ? words->front() : label;
}

}  // namespace

std::vector<LabelLine> parse_labels(const std::vector<std::string>& lines,
                                    const std::string& name) {
  std::vector<std::string_view> texts(lines.begin(), lines.end());
  if (!texts.empty()) {
    std::string_view& first = texts.front();
    if (first.substr(0, 2) == "\xff\xfe" || first.substr(0, 2) == "\xfe\xff") {
      throw InvalidInput(fmt::format("{}: this is UTF-16; save the table as UTF-8", name));
    }
    if (first.substr(0, 3) == "\xef\xbb\xbf") first.remove_prefix(3);
  }
  for (std::string_view& text : texts) {
    const auto last = text.find_last_not_of(" \t\r");  // blanks at its beginning may be a column
    text = text.substr(0, last == std::string_view::npos ? 0 : last + 1);
  }
  const std::optional<char> separator = common_separator(texts);
  std::vector<LabelLine> result;
  Columns columns;
  bool begun = false;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (texts[i].empty()) continue;
    const std::optional<std::vector<std::string>> fields =
        fields_of(texts[i], separator ? *separator : separator_of(texts[i]));
    if (!fields) {
      throw InvalidInput(
          fmt::format("{}, line {}: a quote is not closed: '{}'", name, i + 1, texts[i]));
    }
    if (!begun) {
      begun = true;
      if (const std::optional<Columns> named = header_columns(*fields)) {
        columns = *named;
        continue;
      }
    }
    LabelLine line;
    line.number = i + 1;
    if (columns.name < fields->size()) line.name = (*fields)[columns.name];
    if (columns.label < fields->size()) {
      const std::string& label = (*fields)[columns.label];
      line.label = columns.boxes ? first_word(label) : without_boxes(label);
    }
    if (line.name.empty() || line.label.empty()) {
      const bool number = std::all_of(texts[i].begin(), texts[i].end(),
                                      [](unsigned char c) { return std::isdigit(c) != 0; });
      throw InvalidInput(fmt::format(
          "{}, line {}: expected an image's name and its class, got '{}'{}", name, i + 1, texts[i],
          number ? "; a class alone does not say which image is of it" : ""));
    }
    result.push_back(std::move(line));
  }
  if (result.empty()) throw InvalidInput(fmt::format("{}: no lines", name));
  return result;
}

}  // namespace renas::prep
