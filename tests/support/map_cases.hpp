#ifndef LIMBECK_TESTS_SUPPORT_MAP_CASES_HPP
#define LIMBECK_TESTS_SUPPORT_MAP_CASES_HPP

// All maps with a shape that each takes and its definition in long double, over any memory. No test framework.

#include <limbeck/loss/features/projection.hpp>
#include <limbeck/map/at_positions.hpp>
#include <limbeck/map/class_vectors.hpp>
#include <limbeck/map/columns.hpp>
#include <limbeck/map/gathered.hpp>
#include <limbeck/map/layer_norm.hpp>
#include <limbeck/map/learned.hpp>
#include <limbeck/map/likeness_map.hpp>
#include <limbeck/map/pooled.hpp>
#include <limbeck/map/standardised.hpp>
#include <limbeck/map/then.hpp>
#include <limbeck/map/unit_rows.hpp>

#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

namespace limbeck_test {

namespace lk = limbeck;

/// What the rows of a map are multiplied with.
LIMBECK_HOST_DEVICE constexpr double factor_of(std::size_t r, std::size_t c) {
  return (static_cast<double>((r * 31 + c * 17 + r * c) % 23) - 11) / 8;
}
template <class T>
struct product_row {
  lk::rows<T> y;
  template <class Team>
  LIMBECK_HOST_DEVICE double operator()(const Team& team, std::size_t r) const {
    return lk::detail::sum_own<T, double>(team, y.classes,
                                          [&](std::size_t c) { return static_cast<double>(y(r, c)) * factor_of(r, c); });
  }
};
template <class T>
struct factor_row {
  lk::rows<T> slope;
  T scale;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t r) const {
    lk::detail::for_own<T>(team, slope.classes,
                           [&](std::size_t c) { slope(r, c) = scale * static_cast<T>(factor_of(r, c)); });
  }
};

/// <m(x), w> of the student's rows x and fixed numbers w: its gradient is J^T w.
template <class M>
struct inner_product_with : lk::detail::scalar_of_maps<M> {
  using limbeck_loss = lk::batchwise;
  static constexpr bool any_width = true, needs_teacher = false;
  M map;
  bool to_rows = true;  ///< whether the rows want their gradient, or only what the map learns
  explicit inner_product_with(const M& m, bool back = true) : map(m), to_rows(back) {}

  template <class F>
  void visit_learned(const F& f) const {
    lk::detail::visit_learned_of(map, f);
  }
  template <class T, class Memory>
  lk::batch_number<Memory> operator()(const lk::batch<T, Memory>& x) const {
    const lk::map_shape s = lk::detail::shape_of(map, {x.samples(), x.student.classes});
    const lk::rows<T> y = lk::detail::take_matrix(x, s.samples, s.columns);
    lk::detail::apply_map<M, T>(map, x.student, y, x);
    const auto values = x.memory.template take<double>(s.samples);
    x.each_row(s.samples, s.columns, lk::detail::value_of_row<product_row<T>>{{y}, values.data()});
    const lk::batch_number<Memory> value = lk::detail::finite(x, 1, x.add_up(values));
    if (x.wants_gradient()) {
      const lk::rows<T> slope = lk::detail::take_matrix(x, s.samples, s.columns);
      x.each_row(s.samples, s.columns, factor_row<T>{slope, x.scale});
      lk::detail::pull_back_map<M, T>(map, x.student, y, slope, to_rows ? x.gradient : lk::rows<T>{}, x, value);
    }
    return value;
  }
};

template <class M>
inner_product_with<M> inner_product(const M& map, bool to_rows = true) {
  return inner_product_with<M>(map, to_rows);
}

/// Rows in long double.
struct table {
  std::size_t n, m;
  std::vector<long double> v;
  table(std::size_t rows, std::size_t columns) : n(rows), m(columns), v(rows * columns) {}
  long double& operator()(std::size_t r, std::size_t c) { return v[r * m + c]; }
  long double operator()(std::size_t r, std::size_t c) const { return v[r * m + c]; }
};
/// A table whose element (r, c) is f(r, c).
template <class F>
table make_table(std::size_t n, std::size_t m, const F& f) {
  table y(n, m);
  for (std::size_t r = 0; r < n; ++r)
    for (std::size_t c = 0; c < m; ++c) y(r, c) = f(r, c);
  return y;
}

/// What maps refer to, in some memory.
template <class T, class Memory>
struct map_parts {
  using place = lk::batch_memory<Memory>;
  static constexpr double masks[6] = {1, 0, -2, 0.5, 1, 3};
  static constexpr std::size_t starts[7] = {4, 0, 0, 2, 4, 0, 2}, ends[7] = {1, 0, 4, 4, 1, 2, 0};

  typename place::template storage<T> mask, vectors;
  lk::row_list<Memory> from{starts}, to{ends};
  lk::projection<T, Memory> p{3, 4, lk::he{.seed = 2}};
  lk::projection<double> known{3, 4, lk::he{.seed = 2}};  ///< its weights, for definitions

  static double vector(std::size_t i) { return std::sin(1.0 + static_cast<double>(i)); }
  map_parts() {
    std::vector<T> all(masks, masks + 6);
    mask = typename place::template storage<T>(all.begin(), all.end());
    all.clear();
    for (std::size_t i = 0; i < 15; ++i) all.push_back(static_cast<T>(vector(i)));
    vectors = typename place::template storage<T>(all.begin(), all.end());
  }
  auto times() const { return lk::times_map<T, Memory>{place::address(mask), 6, 1}; }
  auto class_vectors() const {
    return lk::class_vectors_map<T, Memory>{lk::rows<const T>(place::address(vectors), 3, 5), 0.7};
  }
  auto likeness(lk::likeness measure) const {
    return lk::likeness_map_to<T, Memory>{
        lk::detail::make_likeness(lk::rows<const T>(place::address(vectors), 3, 5), {.temperature = 0.5, .measure = measure})};
  }
};

/// run(name, map, samples, columns, definition of a table) for each.
template <class T, class Memory, class Run>
void each_map(map_parts<T, Memory>& parts, const Run& run) {
  using parts_type = map_parts<T, Memory>;
  const auto unit = [](const table& x) {
    return make_table(x.n, x.m, [&](std::size_t r, std::size_t c) {
      long double squares = 0;
      for (std::size_t k = 0; k < x.m; ++k) squares += x(r, k) * x(r, k);
      return x(r, c) / std::sqrt(squares);
    });
  };
  const auto standard = [](std::size_t less, long double in_root, long double beside) {
    return [=](const table& x) {
      return make_table(x.n, x.m, [&](std::size_t r, std::size_t c) {
        long double mean = 0, squares = 0;
        for (std::size_t k = 0; k < x.m; ++k) mean += x(r, k) / static_cast<long double>(x.m);
        for (std::size_t k = 0; k < x.m; ++k) squares += (x(r, k) - mean) * (x(r, k) - mean);
        return (x(r, c) - mean) / (beside + std::sqrt(squares / static_cast<long double>(x.m - less) + in_root));
      });
    };
  };
  const auto norm = standard(0, 1e-3L, 0), score = standard(1, 0, 1e-7L);
  const auto gather = [](const table& x) {
    return make_table(7, x.m, [&](std::size_t k, std::size_t c) { return x(parts_type::starts[k], c); });
  };
  const auto differences = [](const table& x) {
    return make_table(7, x.m, [&](std::size_t k, std::size_t c) {
      return x(parts_type::starts[k], c) - x(parts_type::ends[k], c);
    });
  };
  const auto sizes = [](const table& x) {
    return make_table(x.n, x.m, [&](std::size_t r, std::size_t c) { return std::fabs(x(r, c)); });
  };
  const auto project = [&parts](const table& x) {
    const auto w = parts.known.parameters()[0];
    return make_table(x.n, 4, [&](std::size_t r, std::size_t c) {
      long double sum = 0;  // the bias is 0
      for (std::size_t k = 0; k < 3; ++k) sum += static_cast<long double>(w[c * 3 + k]) * x(r, k);
      return sum;
    });
  };
  const auto at = [](std::size_t positions, const auto& inner) {
    return [=](const table& x) {
      const table turned = make_table(x.n * positions, x.m / positions, [&](std::size_t r, std::size_t c) {
        return x(r / positions, c * positions + r % positions);
      });
      const table y = inner(turned);
      return make_table(x.n, y.m * positions, [&](std::size_t r, std::size_t c) {
        return y(r * positions + c % positions, c / positions);
      });
    };
  };
  /// @p begin and @p end give the inputs of an output along an axis.
  const auto pool = [](std::size_t h, std::size_t w, std::size_t oh, std::size_t ow, const auto& begin, const auto& end) {
    return [=](const table& x) {
      return make_table(x.n, x.m / (h * w) * oh * ow, [&](std::size_t r, std::size_t c) {
        const std::size_t channel = c / (oh * ow), i = c / ow % oh, j = c % ow;
        long double sum = 0, count = 0;
        for (std::size_t a = begin(i, h, oh); a < end(i, h, oh); ++a)
          for (std::size_t b = begin(j, w, ow); b < end(j, w, ow); ++b) sum += x(r, (channel * h + a) * w + b), count += 1;
        return sum / count;
      });
    };
  };
  const auto bin_begin = [](std::size_t o, std::size_t n, std::size_t m) {
    return static_cast<std::size_t>(std::floor(static_cast<double>(o * n) / static_cast<double>(m)));
  };
  const auto bin_end = [](std::size_t o, std::size_t n, std::size_t m) {
    return static_cast<std::size_t>(std::ceil(static_cast<double>((o + 1) * n) / static_cast<double>(m)));
  };

  run("unit_rows", lk::unit_rows{}, 3, 40, unit);
  run("layer_norm", lk::layer_norm{.epsilon = 1e-3}, 4, 29, norm);
  run("standardised", lk::standardised{}, 4, 29, score);
  run("identity", lk::identity{}, 3, 5, [](const table& x) { return x; });
  run("absolute", lk::absolute{}, 3, 6, sizes);
  run("columns", lk::columns(2, 3), 3, 7, [](const table& x) {
    return make_table(x.n, 3, [&](std::size_t r, std::size_t c) { return x(r, c + 2); });
  });
  run("times", parts.times(), 4, 6, [](const table& x) {
    return make_table(x.n, x.m, [&](std::size_t r, std::size_t c) { return x(r, c) * parts_type::masks[c]; });
  });
  run("pooled",
      lk::pooled{.channels = 2, .height = 5, .width = 6, .window_height = 2, .window_width = 2, .stride_height = 1}, 2, 60,
      [](const table& x) {
        return make_table(x.n, 24, [&](std::size_t r, std::size_t c) {
          long double sum = 0;
          for (std::size_t a = 0; a < 4; ++a)
            sum += x(r, c / 12 * 30 + (c % 12 / 3 + a / 2) * 6 + c % 3 * 2 + a % 2) / 4;
          return sum;
        });
      });
  run("pooled, gaps and overlaps",
      lk::pooled{.height = 8, .width = 5, .window_height = 3, .window_width = 1, .stride_height = 2, .stride_width = 3}, 2, 40,
      [](const table& x) {
        return make_table(x.n, 6, [&](std::size_t r, std::size_t c) {
          long double sum = 0;
          for (std::size_t a = 0; a < 3; ++a) sum += x(r, (c / 2 * 2 + a) * 5 + c % 2 * 3) / 3;
          return sum;
        });
      });
  run("adaptive_pooled", lk::adaptive_pooled{.channels = 2, .height = 5, .width = 7, .out_height = 2, .out_width = 3}, 2, 70,
      pool(5, 7, 2, 3, bin_begin, bin_end));
  run("adaptive_pooled, more bins than numbers",
      lk::adaptive_pooled{.height = 2, .width = 3, .out_height = 3, .out_width = 5}, 2, 6, pool(2, 3, 3, 5, bin_begin, bin_end));
  run("gathered", lk::gathered(parts.from), 6, 3, gather);
  run("pair_differences", lk::pair_differences(parts.from, parts.to), 6, 3, differences);
  run("class_vectors", parts.class_vectors(), 4, 5, [](const table& x) {
    return make_table(x.n, 3, [&](std::size_t r, std::size_t c) {
      long double sum = 0;
      for (std::size_t k = 0; k < 5; ++k) sum += 0.7L * x(r, k) * static_cast<long double>(parts_type::vector(c * 5 + k));
      return sum;
    });
  });
  run("likeness by the cosine", parts.likeness(lk::likeness::cosine), 4, 5, [](const table& x) {
    return make_table(x.n, 3, [&](std::size_t r, std::size_t c) {
      long double both = 0, one = 0, other = 0;
      for (std::size_t k = 0; k < 5; ++k) {
        const long double p = parts_type::vector(c * 5 + k);
        both += x(r, k) * p, one += x(r, k) * x(r, k), other += p * p;
      }
      return 2 * both / std::sqrt(one * other);
    });
  });
  run("likeness by the distance", parts.likeness(lk::likeness::squared_distance), 4, 5, [](const table& x) {
    return make_table(x.n, 3, [&](std::size_t r, std::size_t c) {
      long double sum = 0;
      for (std::size_t k = 0; k < 5; ++k) {
        const long double e = x(r, k) - static_cast<long double>(parts_type::vector(c * 5 + k));
        sum -= 2 * e * e;
      }
      return sum;
    });
  });
  run("projection", parts.p.as_map(), 6, 3, project);
  run("frozen", lk::frozen(parts.p), 6, 3, project);
  run("projection at positions", lk::at_positions(parts.p, 3), 2, 9, at(3, project));
  run("unit_rows at positions", lk::at_positions(lk::unit_rows{}, 4), 2, 12, at(4, unit));
  run("a chain of two", lk::then(parts.p, lk::identity{}, lk::unit_rows{}), 6, 3,
      [=](const table& x) { return unit(project(x)); });
  run("a chain of gathers", lk::then(lk::pair_differences(parts.from, parts.to), lk::absolute{}, parts.p), 6, 3,
      [=](const table& x) { return project(sizes(differences(x))); });
}

/// What a map gave somewhere.
struct map_result {
  std::string name;
  double value;
  std::vector<double> gradient;
};

}  // namespace limbeck_test

#endif
