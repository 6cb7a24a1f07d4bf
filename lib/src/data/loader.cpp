#include "renas/loader.h"

#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <mutex>
#include <string>
#include <thread>

#include "data/augment.h"
#include "data/fit.h"
#include "data/pairs.h"
#include "renas/error.h"
#include "renas/random.h"

namespace renas {
namespace {

// A thread that takes no signals: those are the host program's business.
std::thread quiet_thread(auto&& function) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  // Also where no thread can be made, the caller takes its signals again.
  const std::unique_ptr<sigset_t, void (*)(sigset_t*)> restored(
      &before, [](sigset_t* mask) { pthread_sigmask(SIG_SETMASK, mask, nullptr); });
  return std::thread(std::forward<decltype(function)>(function));
}

void check(bool good, const char* option, const std::string& expected, double found) {
  if (!good) {
    throw InvalidInput(fmt::format("loader: {} must be {}, got {}", option, expected, found));
  }
}

void check_options(const DataSet& data, const LoaderOptions& options) {
  const Augmentation& a = options.augmentation;
  check(options.batch >= 1, "batch", "1 or more", options.batch);
  check(options.threads >= 0, "threads", "0 or more", options.threads);
  check(options.prefetch >= 1, "prefetch", "1 or more", options.prefetch);
  check(options.ranks >= 1, "ranks", "1 or more", options.ranks);
  if (options.pairs) {
    const PairAugmentation& p = *options.pairs;
    check(p.height >= 1 && p.width >= 1, "height and width of pairs", "1 or more",
          std::min(p.height, p.width));
    check(p.least_scale > 0 && p.least_scale <= p.most_scale, "least_scale",
          fmt::format("more than 0 and at most most_scale ({})", p.most_scale), p.least_scale);
    if (!data.has_masks()) {
      throw InvalidInput(
          "loader: the data set has no masks; renas-prep-voc makes one that has them");
    }
  }
  check(options.rank >= 0 && options.rank < options.ranks, "rank",
        fmt::format("from 0 to {}", options.ranks - 1), options.rank);
  check(a.pad >= 0, "pad", "0 or more", a.pad);
  check(a.cutout >= 0, "cutout", "0 or more", a.cutout);
  check(a.crop >= 0, "crop", "0 or more", a.crop);
  check(a.brightness >= 0 && a.brightness <= 1, "brightness", "from 0 to 1", a.brightness);
  check(a.contrast >= 0 && a.contrast <= 1, "contrast", "from 0 to 1", a.contrast);
  check(a.saturation >= 0 && a.saturation <= 1, "saturation", "from 0 to 1", a.saturation);
  check(a.least_area >= 0 && a.least_area <= 1, "least_area", "from 0 to 1", a.least_area);
  check(a.least_area == 0 || a.crop > 0, "least_area", "0 without a crop", a.least_area);
  check(a.lighting >= 0, "lighting", "0 or more", a.lighting);
  const int channels = data.shape().channels;
  check(channels == 3 || (a.saturation == 0 && a.lighting == 0), "saturation and lighting",
        "0 where images have other than 3 channels", std::max(a.saturation, a.lighting));
  if (a.crop > 0) {
    check(a.shorter_side == 0 || a.shorter_side >= a.crop, "shorter_side",
          fmt::format("at least the crop of {}", a.crop), a.shorter_side);
    check(a.shorter_side_max == 0 || (a.shorter_side > 0 && a.shorter_side_max >= a.shorter_side),
          "shorter_side_max", fmt::format("0 or at least shorter_side ({})", a.shorter_side),
          a.shorter_side_max);
  } else {
    check(a.shorter_side == 0 && a.shorter_side_max == 0, "shorter_side", "0 without a crop",
          a.shorter_side);
    if (data.encoded() && !options.pairs) {
      throw InvalidInput(
          "loader: the images are encoded and may vary in size, so the augmentation must say what "
          "to cut out of each (crop)");
    }
  }
}

Shape result_shape(const DataSet& data, const LoaderOptions& options) {
  Shape shape = data.shape();
  const int crop = options.augmentation.crop;
  if (crop > 0) shape.height = shape.width = crop;
  if (options.pairs) {
    shape.height = options.pairs->height;
    shape.width = options.pairs->width;
  }
  return shape;
}

}  // namespace

std::vector<int64_t> epoch_order(const std::vector<int64_t>& indices, uint64_t seed,
                                 uint64_t epoch) {
  std::vector<int64_t> order = indices;
  Random(seed, Purpose::kShuffle, epoch).shuffle(order);
  return order;
}

struct Loader::State {
  // What a thread needs of its own.
  struct Scratch {
    std::vector<uint8_t> bytes;
    ImageFitter fitter;
    PairFitter pair_fitter;
  };
  struct Slot {
    std::vector<float> images;
    std::vector<int32_t> labels;
    int64_t done = 0;  // images of its batch that are ready
    std::exception_ptr failure;
  };

  DataSet data;
  std::vector<int64_t> indices;
  LoaderOptions options;
  Augmentation plain;  // of the last epochs
  Shape shape;
  int64_t images = 0;  // of an epoch, on this rank
  uint64_t epoch = 0;
  std::vector<int64_t> order;  // of the epoch, on this rank; empty before start
  Scratch own;                 // the caller's, where there are no threads

  std::mutex mutex;  // over all below, and over epoch and order where there are threads
  std::condition_variable work;
  std::condition_variable ready;
  std::vector<Slot> slots;  // batch b is prepared in slot b % slots.size()
  int64_t claimed = 0;      // images of the epoch given to threads
  int64_t consumed = 0;     // batches of the epoch taken by the caller
  int active = 0;           // threads at work on an image
  bool stopping = false;
  std::vector<std::thread> threads;

  State(DataSet set, std::vector<int64_t> list, const LoaderOptions& given)
      : data(std::move(set)),
        indices(std::move(list)),
        options(given),
        plain(given.augmentation.crop_and_flip()) {}

  int64_t labels_per_image() const {
    return options.pairs ? int64_t{shape.height} * shape.width : 1;
  }

  int64_t batch_end(int64_t position) const {
    return std::min((position / options.batch + 1) * options.batch, images);
  }

  void prepare(int64_t position, Scratch& scratch, float* to, int32_t* label) const {
    const int64_t index = order[static_cast<std::size_t>(position)];
    if (options.pairs) {
      const PairDraw draw =
          draw_pair(*options.pairs, augmentation_stream(options.seed, epoch, index));
      scratch.pair_fitter.fit(data, index, *options.pairs, draw, to, label);
      return;
    }
    const std::span<const uint8_t> image = data.image(index, scratch.bytes);
    const Augmentation& augmentation = epoch < options.plain_from ? options.augmentation : plain;
    const Draw draw =
        draw_augmentation(augmentation, shape, augmentation_stream(options.seed, epoch, index));
    const std::span<const uint8_t> pixels =
        scratch.fitter.fit(data, index, image, augmentation, draw);
    finish_image(augmentation, draw, shape, data.info(), pixels, to);
    *label = data.labels()[static_cast<std::size_t>(index)];
  }

  void run() {
    Scratch scratch;
    // Decoding an image takes long beside the lock; normalising a small one does not.
    const int64_t grain = data.encoded() ? 1 : 16;
    const auto slot_count = static_cast<int64_t>(slots.size());
    std::unique_lock lock(mutex);
    while (true) {
      work.wait(lock, [&] {
        return stopping || (claimed < static_cast<int64_t>(order.size()) &&
                            claimed / options.batch < consumed + slot_count);
      });
      if (stopping) return;
      const int64_t first = claimed;
      const int64_t last = std::min(first + grain, batch_end(first));
      const int64_t batch = first / options.batch;
      Slot& slot = slots[static_cast<std::size_t>(batch % slot_count)];
      claimed = last;
      ++active;
      lock.unlock();
      std::exception_ptr failure;
      try {
        for (int64_t position = first; position < last; ++position) {
          const int64_t at = position - batch * options.batch;
          prepare(position, scratch, slot.images.data() + at * shape.size(),
                  slot.labels.data() + at * labels_per_image());
        }
      } catch (...) {
        failure = std::current_exception();
      }
      lock.lock();
      --active;
      slot.done += last - first;
      if (failure && !slot.failure) slot.failure = failure;
      ready.notify_all();
    }
  }

  void stop() {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
    }
    work.notify_all();
    for (std::thread& thread : threads) thread.join();
  }
};

Loader::Loader(DataSet data, std::vector<int64_t> indices, const LoaderOptions& options)
    : state_(std::make_unique<State>(std::move(data), std::move(indices), options)) {
  State& s = *state_;
  check_options(s.data, options);
  for (const int64_t i : s.indices) {
    if (i < 0 || i >= s.data.size()) {
      throw InvalidInput(
          fmt::format("loader: index {} of a data set of {} images", i, s.data.size()));
    }
  }
  s.shape = result_shape(s.data, options);
  const auto total = static_cast<int64_t>(s.indices.size());
  if (options.drop_last) {
    const int64_t whole = int64_t{options.batch} * options.ranks;
    s.images = total / whole * options.batch;
  } else {
    s.images = (total - options.rank + options.ranks - 1) / options.ranks;
  }
  if (options.threads == 0) return;
  s.slots.resize(static_cast<std::size_t>(options.prefetch));
  for (auto& slot : s.slots) {
    slot.images.resize(static_cast<std::size_t>(options.batch * s.shape.size()));
    slot.labels.resize(static_cast<std::size_t>(options.batch * s.labels_per_image()));
  }
  try {
    for (int i = 0; i < options.threads; ++i) {
      s.threads.push_back(quiet_thread([&s] { s.run(); }));
    }
  } catch (...) {
    s.stop();
    throw;
  }
}

Loader::~Loader() {
  if (state_) state_->stop();
}

Shape Loader::shape() const { return state_->shape; }
int64_t Loader::images() const { return state_->images; }
int64_t Loader::batches() const {
  return (state_->images + state_->options.batch - 1) / state_->options.batch;
}

void Loader::start(uint64_t epoch) {
  State& s = *state_;
  std::vector<int64_t> order =
      s.options.shuffle ? epoch_order(s.indices, s.options.seed, epoch) : s.indices;
  std::vector<int64_t> mine;
  mine.reserve(static_cast<std::size_t>(s.images));
  for (int64_t i = 0; i < s.images; ++i) {
    mine.push_back(order[static_cast<std::size_t>(i * s.options.ranks + s.options.rank)]);
  }
  std::unique_lock lock(s.mutex);
  s.claimed = static_cast<int64_t>(s.order.size());  // nothing more of the epoch before
  s.ready.wait(lock, [&s] { return s.active == 0; });
  s.order = std::move(mine);
  s.epoch = epoch;
  s.claimed = 0;
  s.consumed = 0;
  for (auto& slot : s.slots) {
    slot.done = 0;
    slot.failure = nullptr;
  }
  lock.unlock();
  s.work.notify_all();
}

int Loader::next(std::span<float> images, std::span<int32_t> labels) {
  State& s = *state_;
  const int64_t first = s.consumed * s.options.batch;
  if (first >= static_cast<int64_t>(s.order.size())) return 0;
  const int64_t count = s.batch_end(first) - first;
  const auto values = static_cast<std::size_t>(count * s.shape.size());
  const auto label_count = static_cast<std::size_t>(count * s.labels_per_image());
  const bool alike = images.size() * static_cast<std::size_t>(s.labels_per_image()) ==
                     labels.size() * static_cast<std::size_t>(s.shape.size());
  if (images.size() < values || labels.size() < label_count || !alike) {
    throw InvalidShape(
        fmt::format("loader: a batch of {} images of {} into {} values and {} labels", count,
                    to_string(s.shape), images.size(), labels.size()));
  }
  if (s.threads.empty()) {
    ++s.consumed;
    for (int64_t i = 0; i < count; ++i) {
      s.prepare(first + i, s.own, images.data() + i * s.shape.size(),
                labels.data() + i * s.labels_per_image());
    }
    return static_cast<int>(count);
  }
  State::Slot& slot = s.slots[static_cast<std::size_t>(s.consumed) % s.slots.size()];
  std::unique_lock lock(s.mutex);
  s.ready.wait(lock, [&] { return slot.done == count; });
  const std::exception_ptr failure = slot.failure;
  if (!failure) {
    lock.unlock();  // no thread touches the slot before consumed moves on
    std::memcpy(images.data(), slot.images.data(), values * sizeof(float));
    std::memcpy(labels.data(), slot.labels.data(), label_count * sizeof(int32_t));
    lock.lock();
  }
  slot.done = 0;
  slot.failure = nullptr;
  ++s.consumed;
  lock.unlock();
  s.work.notify_all();
  if (failure) std::rethrow_exception(failure);
  return static_cast<int>(count);
}

}  // namespace renas
