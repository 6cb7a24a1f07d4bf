#include "backend/cpu/kernels/pairs.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/conv_pairs.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h:
#include "backend/cpu/kernels/narrow-inl.h"

#if HWY_TARGET == HWY_AVX3
#include "backend/cpu/kernels/conv_plan.h"
#include "backend/cpu/kernels/pairs-inl.h"

RENAS_PAIRS_BEFORE_NAMESPACE();
namespace renas::cpu {
namespace HWY_NAMESPACE {
namespace pairs {

/// Gradients of one tile to the source pixels they belong to, as rows of bfloat16.
struct ToSource : Sink {
  Bfloat16* gradient;
  const std::ptrdiff_t* at;  // of each pixel; -1 beyond the map
  const Bfloat16* shown;     // rows of what the reader saw; nullptr: it does not matter
  std::size_t shown_row;
  bool accumulate;

  HWY_INLINE ToSource(Bfloat16* to, const Offsets& offsets, const Bfloat16* seen,
                      std::size_t seen_row, bool add)
      : gradient(to), at(offsets.at), shown(seen), shown_row(seen_row), accumulate(add) {}
  template <int ROWS, class V>
  HWY_INLINE void put(const V (&v)[ROWS], int m, int column) {
    const hn::DFromV<V> d;
#pragma GCC unroll 16
    for (int r = 0; r < ROWS; ++r) {
      if (at[m + r] < 0) continue;
      V g = v[r];
      if (shown != nullptr) {
        g = where(shown + static_cast<std::size_t>(m + r) * shown_row + column, g);
      }
      Bfloat16* to = gradient + at[m + r] + column;
      if (accumulate) g = hn::Add(g, load(d, to));
      pairs::put(g, to);
    }
  }
};

/// The same where the tile's pixels follow each other.
template <bool RELU, bool ACCUMULATE>
struct ToPixels : Sink {
  Bfloat16* gradient;     // the first pixel's
  const Bfloat16* shown;  // rows of what the reader saw
  std::size_t row;        // of both

  HWY_INLINE ToPixels(Bfloat16* to, const Bfloat16* seen, std::size_t step)
      : gradient(to), shown(seen), row(step) {}
  template <int ROWS, class V>
  HWY_INLINE void put(const V (&v)[ROWS], int m, int column) {
    const hn::DFromV<V> d;
    const std::size_t at = static_cast<std::size_t>(m) * row + static_cast<std::size_t>(column);
    Bfloat16* to = gradient + at;
    const Bfloat16* seen = shown + at;
    const auto given = [&](int r) RENAS_PAIRS_ATTR {
      const std::size_t on = static_cast<std::size_t>(r) * row;
      V g = v[r];
      if constexpr (RELU) g = where(seen + on, g);
      if constexpr (ACCUMULATE) g = hn::Add(g, load(d, to + on));
      return g;
    };
    // Rows go down by 16, 8, ... to 1.
    if constexpr (ROWS == 1) {
      pairs::put(given(0), to);
    } else {
#pragma GCC unroll 8
      for (int r = 0; r < ROWS; r += 2) {
        Bfloat16* p = to + static_cast<std::size_t>(r) * row;
        put_each(pairs::round(given(r), given(r + 1)), p, p + row);
      }
    }
  }
};

/// What the reader of a term sees of the tile of `pixels` pixels from p0 on, as rows, `step` from
/// one to the next, and, unless nullptr, columns. `room`: for a tile of floats.
HWY_INLINE void pack(const TermArgs& t, const Map& out, std::size_t p0, int pixels,
                     const Offsets& offsets, float* room, Bfloat16* rows, std::size_t step,
                     float* columns) {
  const auto put_all = [&](const auto& value) RENAS_PAIRS_ATTR {
    each_vector(t.depth, [&](auto d, int c) RENAS_PAIRS_ATTR {
      put_pixels(d, pixels, step, static_cast<std::size_t>(t.depth), value(d, c), rows + c,
                 columns == nullptr ? nullptr : columns + c);
    });
  };
  if (narrow(t)) {
    pack_narrow(t, out, p0, pixels, room);
    return put_all([&](auto d, int c) RENAS_PAIRS_ATTR {
      return [d, p = room + c, depth = t.depth](int pixel)
                 RENAS_PAIRS_ATTR { return hn::LoadU(d, p + pixel * depth); };
    });
  }
  put_all([&](auto d, int c) RENAS_PAIRS_ATTR {
    const Bfloat16* data = t.in.data.as<Bfloat16>() + c;
    const auto scale = t.in.scale == nullptr ? hn::Set(d, 1.0F) : hn::LoadU(d, t.in.scale + c);
    const auto shift = t.in.scale == nullptr ? hn::Zero(d) : hn::LoadU(d, t.in.shift + c);
    const auto floor =
        t.in.relu ? hn::Zero(d) : hn::Set(d, -std::numeric_limits<float>::infinity());
    return [=, at = offsets.at](int pixel) RENAS_PAIRS_ATTR {
      if (at[pixel] < 0) return hn::Zero(d);
      // In this order x86 returns a NaN as it is.
      return hn::Max(floor, hn::MulAdd(scale, load(d, data + at[pixel]), shift));
    };
  });
}

/// The term's data gradient of `pixels` pixels from p0 on; `rows`: what pack() made of them.
HWY_INLINE void give_tile(const TermArgs& t, const Offsets& offsets, const Operand& gradients,
                          int pixels, const float* weights, int steps, const Bfloat16* rows,
                          bool accumulate, Ahead& ahead) {
  auto* to = t.in.gradient.as<Bfloat16>();
  const auto row = static_cast<std::size_t>(t.depth);
  const auto give = [&](const auto& sink) RENAS_PAIRS_ATTR {
    multiply(gradients, pixels, weights, t.depth, steps, sink, ahead);
  };
  if (!contiguous(t)) {
    return give(ToSource(to, offsets, t.in.relu ? rows : nullptr, row, accumulate));
  }
  to += offsets.at[0];
  if (t.in.relu && accumulate) return give(ToPixels<true, true>(to, rows, row));
  if (t.in.relu) return give(ToPixels<true, false>(to, rows, row));
  if (accumulate) return give(ToPixels<false, true>(to, rows, row));
  give(ToPixels<false, false>(to, rows, row));
}

/// The map is the matrix.
HWY_INLINE bool as_it_is(const TermArgs& t) {
  return contiguous(t) && t.in.scale == nullptr && !t.in.relu;
}

/// How scratch is divided.
struct Scratch {
  Scratch(const ConvArgs& args, float* scratch) : parts(scratch) {
    bool any_narrow = false;
    for (const TermArgs& t : args.terms) {
      depth += t.depth;
      any_narrow = any_narrow || narrow(t);
    }
    const auto tile = static_cast<std::size_t>(kTilePixels * depth);
    const auto out_tile = static_cast<std::size_t>(kTilePixels * args.out.map.channels);
    room = parts.take(any_narrow ? tile + kBlock : 0);
    rows = parts.take_halves(tile);
    columns = parts.take(tile / 2);
    gradient_rows = parts.take_halves(out_tile);
    gradient_columns = parts.take(out_tile / 2);
  }

  Parts<float> parts;
  int depth = 0;  // of all terms
  float* room;
  Bfloat16* rows;
  float* columns;
  Bfloat16* gradient_rows;
  float* gradient_columns;
};

/// Floats of one pass's packed weights.
HWY_INLINE std::size_t paired_floats(const ConvArgs& args) {
  std::size_t floats = 0;
  for (const TermArgs& t : args.terms) {
    floats += static_cast<std::size_t>(t.depth * args.out.map.channels) / 2;
  }
  return floats;
}

std::size_t conv_packed(const ConvArgs& args) { return 2 * paired_floats(args); }

void conv_pack(const ConvArgs& args, bool backward, float* to) {
  const int channels = args.out.map.channels;
  for (const TermArgs& t : args.terms) {
    pack_weights(t.weight, t.depth, channels, to);
    to += t.depth * channels / 2;
  }
  for (const TermArgs& t : args.terms) {
    if (!backward) return;
    pack_weights(t.weight_transposed, channels, t.depth, to);
    to += t.depth * channels / 2;
  }
}

std::size_t conv_scratch(const ConvArgs& args) { return Scratch(args, nullptr).parts.taken(); }

void conv_forward(const ConvArgs& args, int first, int last, float* scratch, float* sums) {
  const Map& map = args.out.map;
  const std::size_t begin = static_cast<std::size_t>(first) * map.pixels();
  const std::size_t end = static_cast<std::size_t>(last) * map.pixels();
  const auto channels = static_cast<std::size_t>(map.channels);
  const Scratch s(args, scratch);
  Ahead ahead;
  for (std::size_t p0 = begin; p0 < end; p0 += kTilePixels) {
    const int pixels = static_cast<int>(std::min<std::size_t>(kTilePixels, end - p0));
    ahead.clear();
    const std::size_t next = p0 + kTilePixels;
    if (next < end) {
      const std::size_t after = std::min<std::size_t>(kTilePixels, end - next);
      ask_sources(args, next, after, false, ahead);
      ahead.add(args.out.data, next * channels, after * channels);
      ahead.spread(micro_steps(kTilePixels, map.channels, s.depth / 2));
    }
    // The terms' rows side by side: one product sums them all.
    const Bfloat16* rows = s.rows;
    if (args.terms.size() == 1 && as_it_is(args.terms[0])) {
      rows = args.terms[0].in.data.as<Bfloat16>() + p0 * static_cast<std::size_t>(s.depth);
    } else {
      Bfloat16* to = s.rows;
      for (const TermArgs& t : args.terms) {
        pack(t, map, p0, pixels, Offsets(t, map, p0, pixels), s.room, to,
             static_cast<std::size_t>(s.depth), nullptr);
        to += t.depth;
      }
    }
    multiply(rows_of(rows, s.depth), pixels, args.paired, map.channels, s.depth / 2,
             ToOutput(args.out, p0 * channels), ahead);
    take_statistics(args.out, p0 * channels, pixels, sums);
  }
}

void conv_backward(const ConvArgs& args, int first, int last, float* scratch, float* area) {
  const Map& map = args.out.map;
  const std::size_t begin = static_cast<std::size_t>(first) * map.pixels();
  const std::size_t end = static_cast<std::size_t>(last) * map.pixels();
  const auto channels = static_cast<std::size_t>(map.channels);
  const Scratch s(args, scratch);
  const bool fill = fills(args);
  Ahead ahead;
  for (std::size_t p0 = begin; p0 < end; p0 += kTilePixels) {
    const int pixels = static_cast<int>(std::min<std::size_t>(kTilePixels, end - p0));
    ahead.clear();
    const std::size_t next = p0 + kTilePixels;
    if (next < end) {
      const std::size_t after = std::min<std::size_t>(kTilePixels, end - next);
      int steps = 0;
      ahead.add(args.out.gradient, next * channels, after * channels);
      if (args.out.by_gradient != nullptr)
        ahead.add(args.out.data, next * channels, after * channels);
      for (const TermArgs& t : args.terms) {
        steps += micro_steps(kTilePixels, t.depth, map.channels / 2) +
                 micro_steps(t.depth, map.channels, kTilePixels / 2);
      }
      ask_sources(args, next, after, true, ahead);
      ahead.spread(steps);
    }
    if (fill) clear_gradients(args, begin, p0, pixels);
    fold(args.out, p0 * channels, pixels, s.gradient_rows, s.gradient_columns);
    const float* weights = args.paired + paired_floats(args);
    for (const TermArgs& t : args.terms) {
      const auto depth = static_cast<std::size_t>(t.depth);
      const Offsets offsets(t, map, p0, pixels);
      pack(t, map, p0, pixels, offsets, s.room, s.rows, depth, s.columns);
      multiply({s.columns, 1, depth}, t.depth, s.gradient_columns, map.channels, (pixels + 1) / 2,
               ToFloats(area + t.weight_gradient, channels, true), ahead);
      if (t.in.gradient) {
        give_tile(t, offsets, rows_of(s.gradient_rows, map.channels), pixels, weights,
                  map.channels / 2, s.rows, t.in.accumulate || fill, ahead);
        if (contiguous(t)) {
          take_norm_sums(t.in, p0 * depth, pixels, area);
        }
      }
      weights += t.depth * map.channels / 2;
    }
  }
}

}  // namespace pairs
}  // namespace HWY_NAMESPACE
}  // namespace renas::cpu
HWY_AFTER_NAMESPACE();
#endif  // HWY_TARGET == HWY_AVX3

#if HWY_ONCE
namespace renas::cpu::pairs {

#if HWY_TARGETS & HWY_AVX3

const ConvKernels* kernels_for(const ConvArgs& args) {
  static constexpr ConvKernels kKernels = {N_AVX3::pairs::conv_packed, N_AVX3::pairs::conv_pack,
                                           N_AVX3::pairs::conv_scratch, N_AVX3::pairs::conv_forward,
                                           N_AVX3::pairs::conv_backward};
  if (!args.out.data.half() || !available()) return nullptr;
  const bool all = std::all_of(args.terms.begin(), args.terms.end(), [](const TermArgs& t) {
    return (t.in.data.half() && (contiguous(t) || single(t))) || (narrow(t) && !t.in.gradient);
  });
  return all ? &kKernels : nullptr;
}

#else

const ConvKernels* kernels_for(const ConvArgs&) { return nullptr; }

#endif

}  // namespace renas::cpu::pairs
#endif
