#ifndef LIMBECK_TESTS_SUPPORT_RELATION_CASES_HPP
#define LIMBECK_TESTS_SUPPORT_RELATION_CASES_HPP

// Products, and losses between samples and layers, over device memory and over plain memory. No test framework, as in
// device_cases.hpp.

#include "device_cases.hpp"

#include <limbeck/backend/thrust/dense.hpp>
#include <limbeck/features.hpp>
#include <limbeck/relations.hpp>

namespace limbeck_test {

/// alpha a b + beta c for every order of strides, and sizes around those of tiles, against sums in double.
template <class T>
complaints compare_products(lk::device_products* library = nullptr) {
  complaints out;
  lk::device_workspace ws;
  if (library) ws.use(*library);
  const lk::dense_primitives<T, lk::device_memory> dense{ws.stream(), ws.products()};
  const std::size_t sizes[][3] = {{1, 1, 1}, {3, 5, 2}, {32, 16, 33}, {70, 0, 9}, {67, 129, 40}, {1100, 20, 1000}};
  for (const auto& size : sizes) {
    const std::size_t n = size[0], k = size[1], m = size[2];
    const auto left = random_batch<T>(n, k + 1, 1), right = random_batch<T>(k + 1, m, 2), before = random_batch<T>(n, m, 3);
    const auto da = to_device(left.student), db = to_device(right.student);
    for (int turned = 0; turned < 8; ++turned) {
      if (n > 1000 && turned != 0 && turned != 5) continue;
      const auto view = [&]<class E>(E* p, bool other, std::size_t r, std::size_t c) {
        return other ? lk::rows<E>(p, c, r).transposed() : lk::rows<E>(p, r, c);
      };
      const auto a = view(thrust::raw_pointer_cast(da.data()), (turned & 1) != 0, n, k);
      const auto b = view(thrust::raw_pointer_cast(db.data()), (turned & 2) != 0, k, m);
      const lk::rows<const T> ha = view(left.student.data(), (turned & 1) != 0, n, k);
      const lk::rows<const T> hb = view(right.student.data(), (turned & 2) != 0, k, m);
      for (const T beta : {T(0), T(-0.5)}) {
        std::vector<T> c = before.student;
        if (beta == T(0)) std::fill(c.begin(), c.end(), std::numeric_limits<T>::quiet_NaN());  // not read
        auto dc = to_device(c);
        dense.multiply(T(1.5), a, b, beta, view(thrust::raw_pointer_cast(dc.data()), (turned & 4) != 0, n, m));
        std::vector<T> got = to_host(dc);
        const lk::rows<T> gotten = view(got.data(), (turned & 4) != 0, n, m), old = view(c.data(), (turned & 4) != 0, n, m);
        bool right_everywhere = true;
        for (std::size_t i = 0; i < n; ++i)
          for (std::size_t j = 0; j < m; ++j) {
            double sum = 0, size_of_sum = 1;
            for (std::size_t l = 0; l < k; ++l) {
              const double term = 1.5 * static_cast<double>(ha(i, l)) * static_cast<double>(hb(l, j));
              sum += term, size_of_sum += std::abs(term);
            }
            if (beta != T(0)) sum += static_cast<double>(beta * old(i, j));
            right_everywhere = right_everywhere && near<T>(sum, static_cast<double>(gotten(i, j)), size_of_sum, 8);
          }
        if (!right_everywhere)
          out.push_back("product " + std::to_string(n) + " x " + std::to_string(k) + " x " + std::to_string(m) + ", turned " +
                        std::to_string(turned) + ", beta " + std::to_string(static_cast<double>(beta)));
      }
    }
  }
  return out;
}

/// An objective of whole batches over features of two widths, on both sides: value and gradient as it is, and added to what is
/// there, over turned rows of which @p some are taken out.
template <class T, class Objective, class DeviceObjective>
void compare_whole_with(complaints& out, const std::string& name, const Objective& objective, const DeviceObjective& device_objective,
                        std::size_t n, std::size_t width, std::size_t teacher_width, double ulps = 64, bool some = true) {
  const auto b = random_batch<T>(n, width, 41, 1);
  const auto other = random_batch<T>(n, teacher_width, 43, 1);
  const auto s = to_device(b.student), t = to_device(other.student);
  std::vector<float> weights(n, 0.5f);
  for (std::size_t r = 0; some && r < n; r += 3) weights[r] = 0;
  const auto device_weights = to_device(weights);
  lk::workspace ws;
  lk::device_workspace dws;
  for (const bool turned : {false, true}) {
    const std::string full = name + (turned ? ", turned, added, some rows" : "") + at("", n, width);
    std::vector<T> g(b.size(), T(0.125));
    thrust::device_vector<T> dg = to_device(g);
    const auto view = [&]<class E>(E* p, std::size_t columns) {
      return turned ? lk::rows<E>(p, columns, n).transposed() : lk::rows<E>(p, n, columns);
    };
    const auto on_device = [&]<class E>(E* p, std::size_t columns) {
      const auto x = view(p, columns);
      return lk::device_rows<E>(p, n, columns, x.sample_stride, x.class_stride);
    };
    const auto hs = view(b.student.data(), width), ht = view(other.student.data(), teacher_width);
    const auto hg = view(g.data(), width);
    const auto ds = on_device(static_cast<const T*>(thrust::raw_pointer_cast(s.data())), width);
    const auto dt = on_device(static_cast<const T*>(thrust::raw_pointer_cast(t.data())), teacher_width);
    const auto dgv = on_device(thrust::raw_pointer_cast(dg.data()), width);
    const lk::evaluation host = turned ? objective(hs, ht, lk::add_to(hg), ws, lk::row_weights(weights))
                                       : objective(hs, ht, lk::into(hg), ws);
    const lk::evaluation device = turned ? device_objective(ds, dt, lk::add_to(dgv), dws, lk::row_weights(device_weights))
                                         : device_objective(ds, dt, lk::into(dgv), dws);
    compare_evaluations<T>(out, full, host, device, ulps);
    const std::vector<T> got = to_host(dg);
    double largest = 0, worst = 0;
    for (std::size_t i = 0; i < g.size(); ++i) {
      largest = std::max(largest, std::abs(static_cast<double>(g[i]) - (turned ? 0.125 : 0)));
      worst = std::max(worst, std::abs(static_cast<double>(g[i]) - static_cast<double>(got[i])));
    }
    const double rounding = static_cast<double>(std::numeric_limits<T>::epsilon());
    if (!(worst <= ulps * rounding * largest + (turned ? rounding : 0)))
      out.push_back(full + ": a gradient is " + std::to_string(worst / rounding / largest) + " ulps of the largest away");
    if (turned) continue;
    if (const double value = device_objective.value(ds, dt, dws); !near<T>(device.loss, value, std::abs(value), 4))
      out.push_back(full + ": the value alone differs");
  }
}

template <class T, class Objective>
void compare_whole(complaints& out, const std::string& name, const Objective& objective, std::size_t n, std::size_t width,
                   std::size_t teacher_width, double ulps = 64) {
  compare_whole_with<T>(out, name, objective, objective, n, width, teacher_width, ulps);
}

/// A deferred call has the same bits, and a warm one takes no memory.
template <class T, class Objective>
void compare_whole_deferred(complaints& out, const Objective& objective, std::size_t n, std::size_t width) {
  const auto b = random_batch<T>(n, width, 45, 1);
  device_batch<T> d(b);
  lk::device_workspace ws;
  lk::device_result later;
  const double loss = objective(d.s(), d.t(), lk::into(d.g()), ws);
  const std::size_t held = ws.size() + ws.beside().beside().size();
  objective(d.s(), d.t(), lk::into(d.g()), ws, lk::deferred(later));
  if (!same_bits(loss, later.get().loss)) out.push_back("a deferred call differs");
  if (ws.size() + ws.beside().beside().size() != held) out.push_back("a warm call takes memory");
}

/// What is said of a number that is not finite, and of finite ones that leave the range.
template <class T, class Objective>
void compare_whole_errors(complaints& out, const std::string& name, const Objective& objective, std::size_t n,
                          std::size_t width) {
  const auto check = [&](const std::string& what, const auto& spoil) {
    auto b = random_batch<T>(n, width, 51, 1);
    spoil(b);
    std::vector<T> g(b.size());
    std::vector<float> weights(n, 1.0f);
    weights[1] = 0;
    const auto device_weights = to_device(weights);
    device_batch<T> d(b);
    lk::device_workspace ws;
    const auto said = [&](const auto& call) {
      try {
        call();
      } catch (const lk::value_error& e) {
        return std::string(e.what());
      }
      return std::string("nothing");
    };
    for (const bool some : {false, true}) {
      const std::string host = said([&] {
        some ? objective(b.s(), b.t(), lk::into(lk::rows<T>(g.data(), n, width)), lk::row_weights(weights))
             : objective(b.s(), b.t(), lk::into(lk::rows<T>(g.data(), n, width)));
      });
      const std::string device = said([&] {
        some ? objective(d.s(), d.t(), lk::into(d.g()), ws, lk::row_weights(device_weights))
             : objective(d.s(), d.t(), lk::into(d.g()), ws);
      });
      if (host != device) out.push_back(name + ", " + what + ": \"" + host + "\" on the host, \"" + device + "\" on the device");
    }
  };
  const T nan = std::numeric_limits<T>::quiet_NaN();
  check("student nan", [&](batch<T>& b) { b.student[3 * width + 1] = nan; });
  check("teacher inf", [&](batch<T>& b) { b.teacher[4 * width + 2] = -infinity<T>; });
  check("range", [&](batch<T>& b) { b.student[3 * width + 2] = std::numeric_limits<T>::max(), b.teacher[0] = 3; });
  check("both", [&](batch<T>& b) { b.teacher[2 * width] = infinity<T>, b.student[4 * width] = infinity<T>; });
}

/// Rows that do not count, and what is said of weights that no loss of whole batches can take.
template <class T>
complaints compare_whole_weights() {
  complaints out;
  const std::size_t n = 600, width = 6;
  const auto b = random_batch<T>(n, width, 61, 1);
  device_batch<T> d(b);
  lk::workspace ws;
  lk::device_workspace dws;
  const auto objective = lk::objective(lk::pkt{});
  const auto said = [&](const auto& call) {
    try {
      return std::to_string(call());
    } catch (const std::exception& e) {
      return std::string(e.what());
    }
  };
  const auto check = [&](const std::string& what, const std::vector<float>& w, const auto&... more) {
    const auto dw = to_device(w);
    const std::string host = said([&] { return objective.value(b.s(), b.t(), lk::row_weights(w), ws, more...); });
    const std::string device = said([&] { return objective.value(d.s(), d.t(), lk::row_weights(dw), dws, more...); });
    if (host != device) out.push_back(what + ": \"" + host + "\" on the host, \"" + device + "\" on the device");
  };
  std::vector<float> w(n, 2.0f);
  check("alike", w);
  check("mean over them", w, lk::mean_over(1200));
  check("mean over others", w, lk::mean_over(12));
  check("a sum", w, lk::sum);
  check("none", std::vector<float>(n, 0.0f));
  w[3] = 0, w[290] = 1, w[500] = 3;
  check("unlike", w);
  w[299] = std::numeric_limits<float>::quiet_NaN(), w[300] = -1;
  check("not a number", w);

  std::vector<unsigned char> mask(n, 0);
  auto labels = b.labels;
  const auto masked = [&](const std::string& what) {
    const auto dm = to_device(mask);
    const auto dl = to_device(labels);
    const std::string host =
        said([&] { return objective.value(b.s(), b.t(), labels, lk::ignore_index(-100), lk::row_mask(mask), ws); });
    const std::string device =
        said([&] { return objective.value(d.s(), d.t(), dl, lk::ignore_index(-100), lk::row_mask(dm), dws); });
    if (host != device) out.push_back(what + ": \"" + host + "\" on the host, \"" + device + "\" on the device");
  };
  masked("no row counts");
  for (std::size_t r = 0; r < n; r += 2) mask[r] = 1;
  for (std::size_t r = 0; r < n; r += 7) labels[r] = -100;
  masked("some rows count");

  std::vector<T> losses(n);
  thrust::device_vector<T> device_losses(n);
  const std::string host = said([&] { return objective.value(b.s(), b.t(), lk::row_losses(losses), ws); });
  const std::string device = said([&] { return objective.value(d.s(), d.t(), lk::row_losses(device_losses), dws); });
  if (host != device) out.push_back("row losses: \"" + host + "\" on the host, \"" + device + "\" on the device");

  const auto both = lk::pkt{} + 0.5 * lk::hint{};
  const lk::objective_report on_host = both.report(b.s(), b.t(), ws), on_device = both.report(d.s(), d.t(), dws);
  for (std::size_t i = 0; i < 2; ++i) {
    const auto &h = on_host.terms()[i], &o = on_device.terms()[i];
    if (!near<T>(h.value, o.value, std::abs(h.value), 64) || !near<T>(h.gradient_norm, o.gradient_norm, h.gradient_norm, 64))
      out.push_back("a report differs in " + h.name);
  }
  return out;
}

/// What stands in a learned part's gradient.
template <class T>
std::vector<T> host_copy(std::span<T> x) {
  return std::vector<T>(x.begin(), x.end());
}
template <class T>
std::vector<T> host_copy(const lk::device_span<T>& x) {
  std::vector<T> out(x.size());
  thrust::copy_n(thrust::device_pointer_cast(x.data()), x.size(), out.begin());
  return out;
}

/// A loss behind a projection, one with learned variances, and both: what they learn lives where the rows do.
template <class T>
complaints compare_learned() {
  complaints out;
  const std::size_t n = 14, width = 12, teacher_width = 20;
  const auto near_each = [&](const std::string& name, const std::vector<T>& a, const std::vector<T>& b) {
    compare_rows(out, name, a, b, a.size(), 64);
  };
  const auto check = [&](const std::string& name, std::size_t positions) {
    auto b = random_batch<T>(n, width, 41, 1);
    auto other = random_batch<T>(n, teacher_width, 43, 1);
    lk::projection<T> p(width / positions, teacher_width / positions, lk::he{.seed = 3});
    lk::projection<T, lk::device_memory> dp(width / positions, teacher_width / positions, lk::he{.seed = 3});
    lk::channel_variances<T> v(teacher_width / positions, 2);
    lk::channel_variances<T, lk::device_memory> dv(teacher_width / positions, 2);
    if (std::abs(v[1] - dv[1]) > 1e-6) out.push_back(name + ": the variances differ");
    const auto host = lk::objective(lk::projected(p, lk::vid(v), positions) + 0.5 * lk::projected(p, lk::hint{}, positions));
    const auto device =
        lk::objective(lk::projected(dp, lk::vid(dv), positions) + 0.5 * lk::projected(dp, lk::hint{}, positions));
    std::vector<T> g(b.size());
    const auto s = to_device(b.student), t = to_device(other.student);
    thrust::device_vector<T> dg(b.size());
    lk::device_workspace ws;
    const lk::rows<const T> hs(b.student.data(), n, width), ht(other.student.data(), n, teacher_width);
    for (int step = 0; step < 2; ++step) {  // gradients of what is learned add up
      const lk::evaluation h = host(hs, ht, lk::into(lk::rows<T>(g.data(), n, width)));
      const lk::evaluation d = device(lk::on_device(s, n, width), lk::on_device(t, n, teacher_width),
                                      lk::into(lk::on_device(dg, n, width)), ws);
      compare_evaluations<T>(out, name, h, d, 64);
    }
    near_each(name + ", gradient", g, to_host(dg));
    for (std::size_t i = 0; i < 2; ++i)
      near_each(name + ", gradient of the projection", host_copy(p.gradients()[i]), host_copy(dp.gradients()[i]));
    const std::vector<T> of_variances = host_copy(dv.gradients()[0]);
    near_each(name + ", gradient of the variances", host_copy(v.gradients()[0]), of_variances);

    other.student[2 * teacher_width + 3] = std::numeric_limits<T>::quiet_NaN();  // leaves them alone
    const auto bad = to_device(other.student);
    const std::vector<T> before = host_copy(dp.gradients()[0]);
    bool thrown = false;
    try {
      device(lk::on_device(s, n, width), lk::on_device(bad, n, teacher_width), lk::into(lk::on_device(dg, n, width)), ws);
    } catch (const lk::value_error&) {
      thrown = true;
    }
    if (!thrown || !same_bits(before, host_copy(dp.gradients()[0])) || !same_bits(of_variances, host_copy(dv.gradients()[0])))
      out.push_back(name + ": a fault moves what is learned");
    dp.zero_gradients();
    if (host_copy(dp.gradients()[0])[0] != T(0)) out.push_back(name + ": gradients are not zeroed");
  };
  check("a projection of rows", 1);
  check("a projection of channels", 4);
  return out;
}

/// All losses that run on a device, in one type.
template <class T>
complaints compare_whole_batches() {
  complaints out;
  const auto each = [&](const std::string& name, const auto& loss, std::size_t n, std::size_t width, std::size_t teacher_width,
                        double ulps = 64) { compare_whole<T>(out, name, lk::objective(loss), n, width, teacher_width, ulps); };
  each("hint", lk::hint{}, 11, 300, 300);
  each("hint and flops", lk::hint{} + 0.5 * lk::flops{}, 9, 40, 40);
  each("feature mse", lk::feature_mse{}, 700, 5, 5);
  each("similarity", lk::similarity_preserving{}, 37, 19, 7);
  each("activation matching", lk::activation_matching{}, 20, 9, 30);
  each("pkt", lk::pkt{}, 33, 12, 40);
  each("cka", lk::linear_cka{}, 30, 14, 8);
  each("correlation congruence", lk::correlation_congruence{}, 26, 10, 10);
  each("distance matrix", lk::marginal_distance_matrix{.margin = 0.1}, 18, 11, 21);
  each("info nce", lk::info_nce{}, 31, 17, 17);
  each("symmetric info nce", lk::symmetric_info_nce{.temperature = 0.2}, 300, 6, 6);
  each("nt_xent", lk::nt_xent{}, 41, 9, 9);
  each("margin cosine", lk::margin_cosine{.margin = 0.2}, 27, 15, 15);
  each("cosine embedding", lk::cosine_embedding{.margin = 0.1}, 33, 14, 14);
  each("cross-correlation", lk::cross_correlation{}, 300, 12, 12);
  each("self-correlation", lk::self_correlation{}, 28, 9, 21);
  each("neighbours", lk::neighbour_kl{.k = 6}, 290, 12, 7);
  each("rkd distance", lk::rkd_distance{}, 29, 13, 22, 512);
  each("rkd angle", lk::rkd_angle{}, 21, 13, 8, 512);
  each("dist", lk::dist{.temperature = 2}, 40, 30, 30);
  each("nst", lk::nst{.positions = 6}, 19, 24, 18);
  each("attention transfer", lk::attention_transfer{.student_channels = 3, .teacher_channels = 2}, 20, 30, 20);
  each("attention transfer, p 3", lk::attention_transfer{.student_channels = 3, .teacher_channels = 2, .power = 3}, 20, 30, 20);
  each("ickd", lk::ickd{.channels = 5}, 18, 35, 20);
  each("fsp", lk::fsp{.first_channels = 2, .second_channels = 3}, 18, 35, 20);
  each("factor transfer", lk::factor_transfer{.p = 2}, 20, 33, 33);
  each("activation boundaries", lk::activation_boundaries{}, 21, 33, 33);
  each("pad l2", lk::pad_l2{}, 12, 36, 18);
  each("log sum", lk::log_sum{}, 19, 30, 30);
  each("channel affinity", lk::channel_affinity{.channels = 3}, 17, 33, 33);
  each("position similarity", lk::position_similarity{.student_channels = 3, .teacher_channels = 2}, 14, 30, 20);
  compare_whole_with<T>(out, "sskd", lk::objective(lk::sskd{}), lk::objective(lk::sskd{}), 34, 12, 20, 512, false);
  const std::vector<double> scale{1, 2, 0.5}, shift{0, 1, -1};
  const lk::channel_margins margins(scale, shift);
  const lk::channel_margins<lk::device_memory> device_margins(scale, shift);
  if (margins[1] != device_margins[1]) out.push_back("the margins differ");
  compare_whole_with<T>(out, "overhaul", lk::objective(lk::overhaul(margins)), lk::objective(lk::overhaul(device_margins)), 20, 33, 33);
  const std::vector<int> spans{0, 0, 0, 0, 0, -1, -1, 1, 1, 2, 2, 2, 2, 3, 4, 4, 4, 4, 4, 4};
  const auto device_spans = to_device(spans);
  compare_whole_with<T>(out, "span consistency", lk::objective(lk::span_consistency(spans)),
                        lk::objective(lk::span_consistency(device_spans)), 20, 33, 33);
  each("nearest layers", lk::nearest_layers{.layers = 4, .k = 2}, 22, 9, 36);
  each("hard quantile", lk::hard_quantile{.p_hard = 0.9}, 15, 37, 37);
  each("sinkhorn", lk::at_temperature(2.0, lk::sinkhorn{}), 17, 40, 40, 512);
  // beside losses of rows
  compare_whole<T>(out, "beside rows", 0.5 * lk::feature_mse{} + lk::at_temperature(2.0, lk::forward_kl{}), 21, 33, 33);
  compare_whole_deferred<T>(out, lk::pkt{} + lk::linear_cka{} + 0.5 * lk::reverse_kl{}, 30, 12);
  compare_whole_errors<T>(out, "hint", lk::objective(lk::hint{}), 9, 40);
  compare_whole_errors<T>(out, "sinkhorn", lk::objective(lk::sinkhorn{}), 9, 40);
  compare_whole_errors<T>(out, "cka", lk::objective(lk::linear_cka{}), 9, 40);
  return out;
}

/// Losses between lists of layers: a call of each pair, on a device as on the host.
template <class T>
complaints compare_layers() {
  complaints out;
  const std::size_t n = 23, width = 9;
  const auto b = random_batch<T>(n, width, 71, 1), other = random_batch<T>(n, width, 73, 1);
  const auto s = to_device(b.student), u = to_device(b.teacher), t = to_device(other.student), v = to_device(other.teacher);
  const auto on_host = [&](const std::vector<T>& x) { return lk::rows<const T>(x.data(), n, width); };
  const auto on_device = [&](const thrust::device_vector<T>& x) { return lk::on_device(x, n, width); };
  std::vector<std::vector<T>> memory(2, std::vector<T>(n * width));
  std::vector<thrust::device_vector<T>> device_memory(2, thrust::device_vector<T>(n * width));
  const std::vector mine{on_host(b.student), on_host(b.teacher)}, theirs{on_host(other.student), on_host(other.teacher)};
  const std::vector device_mine{on_device(s), on_device(u)}, device_theirs{on_device(t), on_device(v)};
  const std::vector slopes{lk::rows<T>(memory[0].data(), n, width), lk::rows<T>(memory[1].data(), n, width)};
  const std::vector device_slopes{lk::on_device(device_memory[0], n, width), lk::on_device(device_memory[1], n, width)};
  const auto objective = 0.5 * lk::at_layers<"h">(lk::layer_map::evenly(2, 2).reversed(), lk::feature_mse{} + lk::mse{});
  lk::device_workspace ws;
  auto where = lk::outputs{lk::output<"h">(slopes)};
  auto device_where = lk::outputs{lk::output<"h">(device_slopes)};
  const auto host = objective(lk::outputs{lk::output<"h">(mine)}, lk::outputs{lk::output<"h">(theirs)}, lk::into(where));
  const auto device = objective(lk::outputs{lk::output<"h">(device_mine)}, lk::outputs{lk::output<"h">(device_theirs)},
                                lk::into(device_where), ws);
  compare_evaluations<T>(out, "layers", host, device, 64);
  for (std::size_t i = 0; i < 2; ++i) {
    const std::vector<T> got = to_host(device_memory[i]);
    for (std::size_t k = 0; k < got.size(); ++k)
      if (!near<T>(static_cast<double>(memory[i][k]), static_cast<double>(got[k]), 1, 64)) {
        out.push_back("layers: the gradient of layer " + std::to_string(i) + " differs at " + std::to_string(k));
        break;
      }
  }
  return out;
}

}  // namespace limbeck_test

#endif
