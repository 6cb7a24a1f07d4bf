#pragma once

#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "cluster/work_queue.h"
#include "renas/model.h"

namespace renas::test {

/// A search whose candidates are answered without training: the fitness is a function of the
/// genome, the weights are a few numbers, and which of those that are out is done next is drawn.
class DrivenQueue {
 public:
  explicit DrivenQueue(const SearchRunOptions& options, std::size_t ranks = 4, Log log = nullptr)
      : ranks_(ranks),
        setup_(make_setup(options)),
        queue_(setup_,
               std::make_unique<SearchJournal>(setup_, static_cast<int>(ranks), std::move(log)),
               nullptr),
        run_(RunDirectory::open(options.folder)) {
    member_.weights["head/linear/weight"] = Tensor{{2, 2, 1, 1}, {1, 2, 3, 4}};
  }

  WorkQueue& queue() { return queue_; }

  void take(int results) {
    for (int i = 0; i < results; ++i) take_one();
  }

 private:
  void take_one() {
    while (out_.size() < ranks_) {
      auto item = queue_.next();
      if (!item) break;
      out_.push_back(std::move(*item));
    }
    std::swap(out_.at(draw_() % out_.size()), out_.back());
    const WorkQueue::Item item = std::move(out_.back());
    out_.pop_back();
    Report report{.kind = Report::Kind::kDone, .task = name_of(item.task)};
    report.fitness = static_cast<double>(std::hash<std::string>{}(item.task.genome) % 1000) / 1000;
    member_.genome = item.task.genome;
    save_member(run_.weights_file(item.task.id), item.task.id, member_);
    queue_.take(0, report.task, item.work, report);
    queue_.commit();
  }

  std::size_t ranks_;
  RunSetup setup_;
  WorkQueue queue_;
  RunDirectory run_;
  std::vector<WorkQueue::Item> out_;
  std::mt19937 draw_{1};
  MemberWeights member_;
};

}  // namespace renas::test
