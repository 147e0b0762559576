#ifndef LIMBECK_BACKEND_THRUST_ROW_HPP
#define LIMBECK_BACKEND_THRUST_ROW_HPP

/// @file
/// One row on a device, and the sums over all rows: written once over a team of threads.
///
/// The functions of a class are those of `engine/row.hpp`. The exponentials are taken again in each step: they are cheaper
/// than a place to keep them.

#include <limbeck/backend/thrust/row_memory.hpp>
#include <limbeck/backend/thrust/team.hpp>
#include <limbeck/backend/thrust/workspace.hpp>
#include <limbeck/engine/deviation.hpp>
#include <limbeck/engine/signals.hpp>
#include <limbeck/engine/target.hpp>
#include <limbeck/engine/top_classes.hpp>

#if !LIMBECK_ON_CUDA
#include <atomic>
#endif

LIMBECK_BEGIN_NAMESPACE
namespace detail {

/// Whether a term needs the mean of the student's logits, whatever its settings.
template <class Mode, class Plan>
struct plan_wants_mean;
template <class Mode, class... Term>
struct plan_wants_mean<Mode, plan<Term...>> {
  template <class L>
  static constexpr bool one = requires(const L& l) { l.wants_mean(); } && !per_class<Mode, L>;
  static constexpr bool value = (one<typename Term::loss_type> || ...);
};

/// How many entries are sums, or how many are peaks.
template <class Sums, bool Peaks>
constexpr std::size_t active_sums() {
  std::size_t n = 0;
  for_each_index<Sums::size>([&](auto k) {
    if (Sums::template active<k> && is_peak<Sums, k>() == Peaks) ++n;
  });
  return n;
}

/// The lowest row with a fault; which thread finds one first is chance, the lowest row is not.
struct device_faults {
  static constexpr unsigned long long codes = 16;
  static_assert(static_cast<unsigned long long>(fault::range) < codes);
  LIMBECK_DEVICE static void report(device_outcome* out, std::size_t r, fault code) {
    const unsigned long long mine = ~(static_cast<unsigned long long>(r) * codes + static_cast<unsigned long long>(code));
#if LIMBECK_ON_CUDA
    atomicMax(&out->fault, mine);
#else
    std::atomic_ref<unsigned long long> highest(out->fault);
    unsigned long long seen = highest.load();
    while (mine > seen && !highest.compare_exchange_weak(seen, mine)) {
    }
#endif
  }
};

/// In the place of a target where the teacher is a tensor, or there is none.
struct no_target {
  static constexpr std::size_t scratch_rows = 0;
};

/// All that the device needs for one call, copied to it by value.
template <class T, class Terms, class Mode, class Target = no_target>
struct device_task {
  using X = pack<scalar_lanes<T>>;
  using Plan = typename plan_of<Terms>::type;
  using Numbers = row_numbers<T, Plan>;
  using position = device_position<T>;
  static constexpr std::size_t NM = Plan::maxima::size;
  static constexpr std::size_t NS = Plan::softmaxes::size;
  static constexpr std::size_t NP = Plan::pairs::size;
  static constexpr bool sees_student = Plan::template has_softmax<student_side>();
  static constexpr bool sees_teacher = !Plan::teacher || Plan::template has_softmax<teacher_side>();
  static constexpr std::size_t learned = Plan::learned;
  /// Whether any value is taken class by class; a temperature's gradient needs sums over classes too.
  static constexpr bool classwise = plan_has_classes<Mode, Plan>::value || flow_sums<T, Plan, Mode>::temperatures;
  static constexpr T infinity = std::numeric_limits<T>::infinity();
  /// Whether a class that one side alone masks can make the value infinite.
  static constexpr bool compares = NP > 0 || Plan::template any<logitwise> || Plan::features || Mode::soft_labels;
  static constexpr bool targeted = !std::is_same_v<Target, no_target>;
  static constexpr bool whole = Plan::template any<rowwise>;
  /// Whether the teacher has the student's classes, and is read class by class.
  static constexpr bool by_class = Plan::teacher && !Plan::any_width;
  /// Whether nobody reads a class of a row that another thread has brought.
  static constexpr bool may_be_parted = !whole && Plan::top == 0 && !targeted;
  static constexpr bool deviates = Plan::template deviates<student_side> || Plan::template deviates<teacher_side>;

  problem<T> in;  // with a normaliser of 1
  Terms terms;
  Target target{};
  Numbers batch{};                                    // what no row changes, for a row of weight 1 and a normaliser of 1
  bool diverges_student[at_least_one(Plan::size)]{};  // where a class is masked on this side alone, the term is infinite
  bool diverges_teacher[at_least_one(Plan::size)]{};
  bool wants_mean = false;
  bool weigh = false;              // the normaliser is on the device, else it is
  double over_weight = 1;
  const double* normalizer_at = nullptr;  // where several sweeps share one
  bool whole_student = false, whole_teacher = false, whole_soft = false, whole_gradient = false;  // see loads_whole
  bool concludes = true;           // sums and faults are reported at the end
  bool staged = false;             // rows are brought into the team's memory
  std::size_t padded = 0;          // a row, of whole loads
  std::size_t stride = 0;          // between rows of a team's memory: padded, or the part that each block of a cluster has
  double* values = nullptr;        // one a row
  double* temperatures = nullptr;  // learned, one a row each
  device_outcome* out = nullptr;

  // --- a row's memory ------------------------------------------------------------------------------------------------

  /// Rows of a team's memory, and with @p memory where each is.
  LIMBECK_HOST_DEVICE std::size_t place(T* memory, team_rows<T>& m) const {
    std::size_t count = 0;
    const auto take = [&](bool wanted, std::size_t rows = 1) -> T* {
      T* const here = wanted && rows > 0 && memory ? memory + count * stride : nullptr;
      count += wanted ? rows : 0;
      return here;
    };
    constexpr std::size_t of_losses = Plan::rowwise_scratch, of_target = Target::scratch_rows;
    const bool own_teacher = Plan::teacher && (staged || whole || targeted || Plan::top > 0);
    const bool own_flows = classwise && (staged || !in.gradient.native());  // rounded once
    m.student = take(staged || whole);
    m.teacher = take(own_teacher);
    m.soft = take(Mode::soft_labels && staged);
    const bool in_place = by_class && own_teacher && !whole;  // a class that has its flow needs its teacher no more
    m.gradient = take(Mode::gradient && (whole || own_flows) && !in_place);
    if (Mode::gradient && in_place && own_flows) m.gradient = m.teacher;
    m.ranks = take(Plan::top > 0);
    m.scratch = take(true, of_losses > of_target ? of_losses : of_target);
    return count;
  }
  /// Rows of memory that each team needs.
  std::size_t rows_of_memory() const {
    team_rows<T> m;
    return place(nullptr, m);
  }

  /// Brings row @p r, or what has to be there.
  template <class Team>
  LIMBECK_DEVICE void bring(const Team& team, std::size_t r, std::int64_t label, const team_rows<T>& m) const {
    if (m.student) bring_row(team, in.student, whole_student, r, m.student);
    if constexpr (Plan::teacher && !targeted)
      if (m.teacher) bring_row(team, in.teacher, whole_teacher, r, m.teacher);
    if constexpr (Mode::soft_labels)
      if (m.soft) bring_row(team, in.soft_labels, whole_soft, r, m.soft);
    wait_for_rows();
    if constexpr (!Team::alone) {
      const bool singly = (m.student && !whole_student) || (Plan::teacher && !targeted && m.teacher && !whole_teacher) ||
                          (Mode::soft_labels && m.soft && !whole_soft);
      if (singly) team.wait();
    }
    if constexpr (targeted) {
      const std::size_t n = in.target.classes;
      target.fill(target_row<T, Team>{r, {m.teacher, n}, {m.scratch, padded * Target::scratch_rows}, in.student, label,
                                      in.progress, team});
    }
    if constexpr (Plan::top > 0) {
      team.wait();
      rank_classes<Plan::top>(team, static_cast<const T*>(m.teacher), in.classes(), T(masked_logit<T>), m.ranks);
    }
    if constexpr (targeted || whole || Plan::top > 0) team.wait();
  }

  /// body(position, gradient of the class) for every class of this thread. The gradient starts at 0, or at what `add_to` adds
  /// to, and is written; where flows stand in it, it starts with these.
  enum class gradient_use { none, flows, finish };
  template <gradient_use Use, class Team, class Body>
  LIMBECK_DEVICE void each_class(const Team& team, const team_rows<T>& m, std::size_t r, std::int64_t label, bool hold,
                                 Body&& body) const {
    constexpr std::size_t W = Team::template width<T>;
    using block = device_block_of<T, W>;
    // 32 bits: a device counts in them at half the price
    const auto classes = static_cast<std::uint32_t>(in.classes());
    const auto y_class = static_cast<std::uint32_t>(label < 0 ? -1 : label);
    const auto kept = [](const T* row, std::uint32_t c) -> const block& { return *reinterpret_cast<const block*>(row + c); };
    const own_elements own = own_of<T>(team, classes);
    const auto last = static_cast<std::uint32_t>(own.last), step = static_cast<std::uint32_t>(own.step);
    LIMBECK_NO_UNROLL
    for (auto c = static_cast<std::uint32_t>(own.first); c < last; c += step) {
      const block s = m.student ? kept(m.student, c) : load_block<W>(team, in.student, whole_student, r, c);
      [[maybe_unused]] block t, y, k;
      if constexpr (by_class) t = m.teacher ? kept(m.teacher, c) : load_block<W>(team, in.teacher, whole_teacher, r, c);
      if constexpr (Mode::soft_labels) y = m.soft ? kept(m.soft, c) : load_block<W>(team, in.soft_labels, whole_soft, r, c);
      if constexpr (Plan::top > 0) k = kept(m.ranks, c);
      block g{};
      if constexpr (Use != gradient_use::none) {
        constexpr bool first = Use == gradient_use::flows || !classwise;
        if (!first && m.gradient) g = kept(m.gradient, c);
        // what a row of memory holds is added to the tensor last
        const bool tensor = !m.gradient ? (first ? in.add : true) : Use == gradient_use::finish && !whole && in.add;
        if (tensor) {
          const block old = load_block<W>(team, stored_rows<const T>(in.gradient), whole_gradient, r, c);
          for (std::size_t j = 0; j < W; ++j) g.v[j] += old.v[j];
        }
      }
      for (std::uint32_t j = 0; j < W; ++j) {
        position at;
        at.student = s.v[j];
        at.teacher = at.soft = at.rank = T(0);
        if constexpr (by_class) at.teacher = t.v[j];
        if constexpr (Mode::soft_labels) at.soft = y.v[j];
        if constexpr (Plan::top > 0) at.rank = k.v[j];
        at.within = W == 1 || c + j < classes;
        at.is_label = c + j == y_class;
        at.in_mask = true;
        if constexpr (Plan::template uses_domain<masked>) at.in_mask = at.within && in.class_mask.number(c + j) != 0;
        at.class_count = in.classes();
        body(at, g.v[j]);
      }
      if constexpr (Use != gradient_use::none) {
        if (m.gradient && (Use == gradient_use::flows || whole)) {
          *reinterpret_cast<block*>(m.gradient + c) = g;
        } else if (gives_singly<Use, Team>(m)) {  // nobody asks for the class's logit any more
          hold_back(g, hold);
          *reinterpret_cast<block*>(m.student + c) = g;
        } else {
          hold_back(g, hold);
          store_block<W>(team, in.gradient, whole_gradient, r, c, g);
        }
      }
    }
    if constexpr (Use == gradient_use::finish && !whole && !Team::alone) {
      if (!gives_singly<Use, Team>(m)) return;
      team.wait();
      const own_elements mine = neighbours_of(team, in.classes());
      for (std::size_t i = mine.first; i < mine.last; i += mine.step) {
        count_bytes(team, size_of(in.gradient.type));
        in.gradient.put(r, i, m.student[i]);
      }
    }
  }
  /// Whether the gradient of a row in the team's memory is written class by class, by neighbours.
  template <gradient_use Use, class Team>
  LIMBECK_DEVICE bool gives_singly(const team_rows<T>& m) const {
    return Use == gradient_use::finish && !whole && !Team::alone && m.student && !whole_gradient;
  }
  /// @p hold: of a row of infinite loss.
  template <std::size_t W>
  LIMBECK_DEVICE void hold_back(device_block_of<T, W>& g, bool hold) const {
    if (hold) {
      const double largest = largest_of(in.gradient.type);
      const T most = largest < static_cast<double>((std::numeric_limits<T>::max)()) ? static_cast<T>(largest)
                                                                                    : (std::numeric_limits<T>::max)();
      for (std::size_t j = 0; j < W; ++j) {
        const T x = held(g.v[j]);
        g.v[j] = x < -most ? -most : x > most ? most : x;
      }
    }
  }

  /// Sums over the row. A thread alone merges its sums every 256 classes: the rounding error of a long row then grows
  /// with the number of merges, not with that of classes.
  template <class From, class To, gradient_use Use = gradient_use::none, class Team, class Body>
  LIMBECK_DEVICE To sum_classes(const Team& team, const team_rows<T>& m, std::size_t r, std::int64_t label, Body&& body) const {
    From total, partial;
    for_each_index<From::size>([&](auto k) { total.sum[k] = partial.sum[k] = X(T(0)); });
    [[maybe_unused]] unsigned pause = 0;
    each_class<Use>(team, m, r, label, false, [&](const position& at, T& g) {
      if constexpr (Team::alone) {
        body(at, g, partial);
        if (++pause % 256 == 0) {
          for_each_index<From::size>([&](auto k) {
            merge<From, k>(total, partial);
            partial.sum[k] = X(T(0));
          });
        }
      } else {
        body(at, g, total);
      }
    });
    if constexpr (Team::alone) for_each_index<From::size>([&](auto k) { merge<From, k>(total, partial); });
    To result{};
    reduce<false, From>(team, total, result);
    if constexpr (active_sums<From, true>() > 0) reduce<true, From>(team, total, result);
    return result;
  }
  template <class From, std::size_t K>
  LIMBECK_DEVICE static void merge(From& total, const From& partial) {
    if constexpr (is_peak<From, K>()) {
      total.sum[K] = larger(total.sum[K], partial.sum[K]);
    } else {
      total.sum[K] += partial.sum[K];
    }
  }
  template <bool Peaks, class From, class To, class Team>
  LIMBECK_DEVICE static void reduce(const Team& team, const From& total, To& result) {
    team_array<T, at_least_one(active_sums<From, Peaks>())> a{};
    std::size_t i = 0;
    for_each_index<From::size>([&](auto k) {
      if constexpr (From::template active<k> && is_peak<From, k>() == Peaks) a.v[i++] = total.sum[k].v;
    });
    if constexpr (Peaks) {
      a = team.highest(a);
    } else {
      a = team.sum(a);
    }
    i = 0;
    for_each_index<From::size>([&](auto k) {
      if constexpr (From::template active<k> && is_peak<From, k>() == Peaks) result.sum[k] = a.v[i++];
    });
  }

  // --- the steps of a row --------------------------------------------------------------------------------------------

  struct opening {
    fault bad = fault::none;
    bool valid = false;
    std::int64_t label = -1;
    Numbers numbers;
  };
  LIMBECK_DEVICE opening open(std::size_t r) const {
    opening o;
    o.bad = in.bad_weight(r);
    if (o.bad != fault::none) return o;
    const double w = in.weight(r);
    o.valid = in.valid(r);
    if (!o.valid) return o;
    o.label = in.label(r);
    if (in.bad_label(r)) {
      o.bad = fault::label;
      return o;
    }
    if constexpr (Plan::temperatures_by_row) {
      if (!start_row<Plan>(in, terms, 1.0, r, o.numbers)) o.bad = fault::row_temperature;
    } else {
      o.numbers = batch;
    }
    weigh_row(o.numbers, static_cast<T>(w * normalizer()));
    if (in.labels.data() && !in.labelled(r)) mute_labelled_terms<Plan>(o.numbers);
    return o;
  }
  LIMBECK_DEVICE double normalizer() const { return normalizer_at ? *normalizer_at : weigh ? out->normalizer : over_weight; }

  /// Row @p r, by a team of threads that all call this, with rows_of_memory() rows of memory.
  template <class Team>
  LIMBECK_DEVICE void row(const Team& team, std::size_t r, T* memory) const {
    team_rows<T> m;
    (void)place(memory, m);
    const opening o = open(r);
    if (o.bad != fault::none) return report(team, m, r, o.bad);
    if (!o.valid) return skip(team, r);
    Numbers n = o.numbers;
    if constexpr (Plan::weighs_unread) {
      const fault odd = weigh_unread(n, terms, in.classes(), in.first_row + in.row_of_call(r), place_of_signal(team, r));
      if (odd != fault::none) return report(team, m, r, odd);
      if (is_silent(n)) return skip(team, r);
    }
    bring(team, r, o.label, m);
    T logits[at_least_one(NM)]{};
    label_logits(r, o.label, m, logits);
    row_deviations<T> deviations{};
    if constexpr (deviates) take_deviations(team, m, r, n, deviations);
    bool masks = false;
    if constexpr (NS > 0) {
      masks = take_maxima(team, m, r, o.label, n);
      const fault bad = take_normalizers(team, m, r, o.label, n);
      if (bad != fault::none) return report(team, m, r, bad_of(bad));
    }
    if constexpr (!sees_student || !sees_teacher) {
      if (const fault bad = check_logits(team, m, r, masks); bad != fault::none) return report(team, m, r, bad_of(bad));
    }
    if constexpr (Plan::features) {
      if (masks) return report(team, m, r, masked_feature(team, m, r));
    }
    if constexpr (Plan::weighs && !Plan::weighs_unread) {
      if (const fault odd = read_signals(team, m, r, o.label, logits, n); odd != fault::none) return report(team, m, r, odd);
      if constexpr (!Mode::soft_labels) {  // those are checked with the flows
        if (is_silent(n)) return skip(team, r);
      }
    }
    const bool unbounded = compares && masks && infinite(team, m, r, o.label, n);
    close(team, m, r, o.label, n, logits, deviations, unbounded);
  }

  /// Of a target only the code is kept, which tells NaN from -inf.
  LIMBECK_DEVICE static constexpr fault bad_of(fault bad) {
    return targeted && bad == fault::teacher ? bad : bad_number<Plan>(bad);
  }
  template <class Team>
  LIMBECK_DEVICE void report(const Team& team, [[maybe_unused]] const team_rows<T>& m, std::size_t r, fault bad) const {
    if constexpr (targeted) {  // nobody will see the target's row again
      T worst(0);
      if (bad == fault::teacher || bad == fault::teacher_number) {
        for_own<T>(team, in.target.classes, [&](std::size_t c) {
          const T early = static_cast<T>(in.target.classes - c);  // the first
          const bool odd = bad == fault::teacher ? !(m.teacher[c] <= -masked_logit<T>) : m.teacher[c] <= masked_logit<T>;
          if (odd && early > worst) worst = early;
        });
        worst = highest_over(team, worst);
        if (team.rank() == 0) values[r] = static_cast<double>(worst);
      }
    }
    if (team.rank() != 0) return;
    device_faults::report(out, r, bad);
    if (!concludes && in.row_losses) in.row_losses[r] = T(1);  // a temperature that is not to blame
  }

  template <class Team>
  LIMBECK_DEVICE void skip(const Team& team, std::size_t r) const {
    if (team.rank() == 0) {
      values[r] = 0;
      if (in.row_losses) in.row_losses[r] = T(0);
      for_each_index<learned>([&](auto k) { temperatures[r * learned + k] = 0; });
      if (in.row_temperature_gradient) in.row_temperature_gradient[r] = T(0);
    }
    if constexpr (Mode::gradient) {
      constexpr std::size_t W = Team::template width<T>;
      if (in.add) return;
      const own_elements own = own_of<T>(team, in.classes());
      for (std::size_t c = own.first; c < own.last; c += own.step)
        store_block<W>(team, in.gradient, whole_gradient, r, c, device_block_of<T, W>{});
    }
  }

  /// Of every maximum, the clamped logit at the label.
  LIMBECK_DEVICE void label_logits(std::size_t r, std::int64_t label, const team_rows<T>& m, T* logits) const {
    const std::size_t y = label < 0 ? 0 : static_cast<std::size_t>(label);
    for_each_key(typename Plan::maxima{}, [&]<class M, std::size_t Index>() {
      T x;
      if constexpr (std::is_same_v<typename M::who, student_side>) {
        x = in.student(r, y);
      } else if constexpr (targeted) {
        x = m.teacher[y];
      } else {
        x = in.teacher(r, y);
      }
      logits[Index] = larger(X(T(masked_logit<T>)), X(x)).v;
    });
  }

  /// Before step 1, where a temperature is the deviation of the row's logits.
  template <class Team>
  LIMBECK_DEVICE void take_deviations(const Team& team, const team_rows<T>& m, std::size_t r, Numbers& n,
                                      row_deviations<T>& d) const {
    const auto of = [&]<class Who>() {
      return deviation_from([&](T origin) {
        return sum_classes<deviation_sums<X>, deviation_sums<T>>(team, m, r, -1, [&](const position& at, T&, auto& total) {
          add_deviation(at.template raw_logit<Who, all>(), X(origin), total);
        });
      });
    };
    if constexpr (Plan::template deviates<student_side>) d.student = of.template operator()<student_side>();
    if constexpr (Plan::template deviates<teacher_side>) d.teacher = of.template operator()<teacher_side>();
    standardize<Plan>(n, d);
  }

  /// Step 1. Whether a class is masked on one side or both.
  template <class Team>
  LIMBECK_DEVICE bool take_maxima(const Team& team, const team_rows<T>& m, std::size_t r, std::int64_t label, Numbers& n) const {
    team_array<T, NM + (compares ? 3 : 0)> high;  // then the highest of -student and -teacher, 1 where one is masked
    for (std::size_t i = 0; i < NM; ++i) high.v[i] = masked_logit<T>;
    if constexpr (compares) high.v[NM] = high.v[NM + 1] = -infinity, high.v[NM + 2] = T(0);
    each_class<gradient_use::none>(team, m, r, label, false, [&](const position& at, T&) {
      for_each_key(typename Plan::maxima{}, [&]<class M, std::size_t Index>() {
        high.v[Index] = larger(X(high.v[Index]), at.template raw_logit<typename M::who, typename M::domain>()).v;
      });
      if constexpr (compares) {
        if (!at.within) return;
        const T x[2] = {at.student, at.teacher};
        for (std::size_t i = 0; i < 2; ++i) {
          if (x[i] > masked_logit<T>) {
            high.v[NM + i] = larger(X(high.v[NM + i]), X(-x[i])).v;
          } else {
            high.v[NM + 2] = T(1);
          }
        }
      }
    });
    high = team.highest(high);
    for (std::size_t i = 0; i < NM; ++i) n.maximum[i] = high.v[i];
    if constexpr (compares) {
      set_origins(n, -high.v[NM], -high.v[NM + 1]);
      return high.v[NM + 2] > T(0);
    } else {
      return false;
    }
  }

  /// Steps 2 and 3.
  template <class Team>
  LIMBECK_DEVICE fault take_normalizers(const Team& team, const team_rows<T>& m, std::size_t r, std::int64_t label,
                                        Numbers& n) const {
    const auto nx = n.template broadcast<X>();
    const auto sums = sum_classes<exponential_sums<X, Plan>, exponential_sums<T, Plan>>(
        team, m, r, label, [&](const position& at, T&, auto& total) {
          X e[at_least_one(NS)];
          exponentials<Plan>(nx, at, e, total);
        });
    T logs[at_least_one(logarithms<Plan>)];
    ask_logarithms<Plan>(sums, logs);
    for (T& v : logs) v = log_positive(X(v)).v;
    const fault bad = solve<Plan>(n, sums, logs);
    if constexpr (NP > 0) {
      if (bad == fault::none && is_close<Plan>(n, sums)) {
        const auto now = n.template broadcast<X>();
        correct<Plan>(n, sum_classes<residual_sums<X, Plan>, residual_sums<T, Plan>>(
                             team, m, r, label, [&](const position& at, T&, auto& total) {
                               X e[at_least_one(NS)];
                               take_exponentials(now, at, e);
                               residuals<Plan>(now, at, e, total);
                             }));
      }
    }
    return bad;
  }

  /// The signals of a row, multiplied into the weights of their terms.
  template <class Team>
  LIMBECK_DEVICE fault read_signals(const Team& team, const team_rows<T>& m, std::size_t r, std::int64_t label, const T* logits,
                                    Numbers& n) const {
    signal_sums<T, Plan> sums{};
    if constexpr (Plan::signals_by_class) {
      const auto nx = n.template broadcast<X>();
      sums = sum_classes<signal_sums<X, Plan>, signal_sums<T, Plan>>(
          team, m, r, label, [&](const position& at, T&, auto& total) {
            X e[at_least_one(NS)];
            take_exponentials(nx, at, e);
            signals_at<Plan>(nx, terms, at, e, total);
          });
    }
    return weigh_by_signals<Plan>(n, sums, terms, logits, in.classes(), in.first_row + in.row_of_call(r), place_of_signal(team, r));
  }
  /// Where one thread leaves what is measured of a row, if anything is.
  template <class Team>
  LIMBECK_DEVICE double* place_of_signal(const Team& team, std::size_t r) const {
    return in.row_signals && team.rank() == 0 ? in.row_signals + r : nullptr;
  }

  LIMBECK_DEVICE static void take_exponentials(const row_numbers<X, Plan>& n, const position& at, X* e) {
    exponential_sums<X, Plan> unused;
    for_each_index<exponential_sums<X, Plan>::size>([&](auto k) { unused.sum[k] = X(T(0)); });
    exponentials<Plan>(n, at, e, unused);
  }

  /// A row with masked classes: is one of its pointwise sums infinite?
  template <class Team>
  LIMBECK_DEVICE bool infinite(const Team& team, const team_rows<T>& m, std::size_t r, std::int64_t label,
                               const Numbers& n) const {
    // of each term: a class that the student, or the teacher, masks alone; and one that its soft label names
    team_array<T, (Mode::soft_labels ? 3 : 2) * at_least_one(Plan::size)> found{};
    const auto nx = n.template broadcast<X>();
    each_class<gradient_use::none>(team, m, r, label, false, [&](const position& at, T&) {
      if (!at.within) return;
      const bool no_student = at.student <= masked_logit<T>, no_teacher = at.teacher <= masked_logit<T>;
      X e[at_least_one(NS)];
      take_exponentials(nx, at, e);
      for_each_index<Plan::size>([&](auto k) {
        using Term = typename Plan::template term_at<k>;
        using Loss = typename Term::loss_type;
        using D = typename Term::domain;
        if constexpr (is<Loss, pointwise> && needs_teacher<Loss>()) {
          using P = pair_key<typename Term::student_slot, typename Term::teacher_slot, typename top_in<D>::softmax_domain>;
          if constexpr (top_in<D>::with_rest)
            if (!at.template in_top<top_in<D>::size>()) return;
          if (no_student && !no_teacher && e[Plan::softmaxes::template index<typename P::teacher>()].v > 0) found.v[2 * k] = 1;
          if (no_teacher && !no_student && e[Plan::softmaxes::template index<typename P::student>()].v > 0) found.v[2 * k + 1] = 1;
        }
        if constexpr (is<Loss, logitwise> && needs_teacher<Loss>())
          if (no_student != no_teacher) found.v[no_student ? 2 * k : 2 * k + 1] = 1;
        if constexpr (Mode::soft_labels && is<Loss, labelwise> && per_class<Mode, Loss>)
          if (no_student && soft_target_of(loss_of<Plan, k>(terms[hana::size_t<k>{}], n), at.soft, in.classes()) > 0)
            found.v[2 * Plan::size + k] = 1;
      });
    });
    found = team.highest(found);
    bool result = false;
    for_each_index<Plan::size>([&](auto k) {
      bool student = diverges_student[k], teacher = diverges_teacher[k];
      using Term = typename Plan::template term_at<k>;
      if constexpr (settings_in<typename Term::signal_type> > 0 && (is<typename Term::loss_type, pointwise> || is<typename Term::loss_type, logitwise>)) {
        const auto loss = loss_of<Plan, k>(terms[hana::size_t<k>{}], n);  // of this row
        student = diverges<T>(loss, true), teacher = diverges<T>(loss, false);
      }
      const bool any = (found.v[2 * k] > 0 && student) || (found.v[2 * k + 1] > 0 && teacher);
      result = result || (n.value_weight[k] != 0 && any);
      if constexpr (Mode::soft_labels) result = result || (n.value_weight[k] != 0 && found.v[2 * Plan::size + k] > 0);
    });
    return result;
  }

  /// Whose feature is -inf, in a row that has one.
  template <class Team>
  LIMBECK_DEVICE fault masked_feature(const Team& team, const team_rows<T>& m, std::size_t r) const {
    T of_student(0);
    each_class<gradient_use::none>(team, m, r, -1, false, [&](const position& at, T&) {
      if (at.within && at.student <= masked_logit<T>) of_student = T(1);
    });
    return highest_over(team, of_student) > T(0) ? fault::student_number : fault::teacher_number;
  }

  /// For tensors of which there is no softmax, which would have found these.
  template <class Team>
  LIMBECK_DEVICE fault check_logits(const Team& team, const team_rows<T>& m, std::size_t r, bool& masks) const {
    team_array<T, 5> found{};  // student: a bad one, a finite one; teacher; one is masked
    const auto look = [&](T x, std::size_t side) {
      if (!(x <= -masked_logit<T>)) found.v[side] = 1;
      found.v[x > masked_logit<T> ? side + 1 : 4] = 1;
    };
    each_class<gradient_use::none>(team, m, r, -1, false, [&](const position& at, T&) {
      if (!at.within) return;
      look(at.student, 0);
      if constexpr (by_class) look(at.teacher, 2);
    });
    if constexpr (Plan::teacher && !by_class)
      for_own<T>(team, in.teacher_classes(), [&](std::size_t c) { look(m.teacher[c], 2); });
    found = team.highest(found);
    masks = masks || found.v[4] > 0;
    if (!sees_student && (found.v[0] > 0 || !(found.v[1] > 0))) return fault::student;
    if (!sees_teacher && (found.v[2] > 0 || !(found.v[3] > 0))) return fault::teacher;
    return fault::none;
  }

  /// Mean of the student's logits, less their maximum.
  template <class Team>
  LIMBECK_DEVICE T mean_logit(const Team& team, const team_rows<T>& m, std::size_t r, T highest) const {
    using Sum = std::conditional_t<Team::alone, double, T>;
    Sum sum(0);
    each_class<gradient_use::none>(team, m, r, -1, false, [&](const position& at, T&) {
      if (at.within) sum += static_cast<Sum>(at.student - highest);
    });
    return static_cast<T>(sum_over(team, sum) / static_cast<Sum>(in.classes()));
  }

  /// Steps 4 and 5, and what is written.
  template <class Team>
  LIMBECK_DEVICE void close(const Team& team, const team_rows<T>& m, std::size_t r, std::int64_t label, const Numbers& n,
                            const T* logits, [[maybe_unused]] const row_deviations<T>& deviations, bool unbounded) const {
    const auto nx = n.template broadcast<X>();
    flow_sums<T, Plan, Mode> sums{};
    if constexpr (classwise) {
      constexpr gradient_use use = Mode::gradient ? gradient_use::flows : gradient_use::none;
      sums = sum_classes<flow_sums<X, Plan, Mode>, flow_sums<T, Plan, Mode>, use>(
          team, m, r, label, [&](const position& at, T& g, auto& total) {
            X e[at_least_one(NS)];
            take_exponentials(nx, at, e);
            g += flows<Plan, Mode>(nx, terms, at, e, total).v;
          });
      if constexpr (Mode::soft_labels) {
        if (!(sums.soft_low() >= 0 && sums.soft_sum() < infinity)) return report(team, m, r, fault::soft_labels);
      }
    }
    T mean(0);
    using Whole = maximum_key<student_side, all>;
    if constexpr (plan_wants_mean<Mode, Plan>::value) {
      if (wants_mean) mean = mean_logit(team, m, r, n.maximum[Plan::maxima::template index<Whole>()]);
    }
    const row_finish<T, Plan> result = finish<Plan, Mode>(in, n, terms, sums, logits, mean);
    T value = unbounded ? infinity : result.value;
    const bool hold = !(value < infinity);
    if constexpr (Mode::gradient) {
      T coefficient[at_least_one(NS)];
      for_each_index<NS>([&](auto k) { coefficient[k] = result.coefficient[k] * n.inverse_z[k]; });
      [[maybe_unused]] T slope(0);
      if constexpr (Plan::template deviates<student_side>) slope = deviation_slope<Plan>(n, deviations.student, result);
      each_class<gradient_use::finish>(team, m, r, label, hold, [&](const position& at, T& g) {
        g += result.uniform;
        for_each_key(typename Plan::softmaxes{}, [&]<class K, std::size_t Index>() {
          if constexpr (std::is_same_v<typename K::who, student_side>) {
            constexpr auto h = Plan::maxima::template index<typename K::maximum>();
            constexpr auto t = Plan::slot_keys::template index<typename K::slot>();
            const X x = at.template raw_logit<student_side, typename K::domain>();
            g += coefficient[Index] * exp2_negative((x - nx.maximum[h]) * nx.exponent_scale[t]).v;
          }
        });
        if constexpr (Plan::template deviates<student_side>)
          if (at.student > masked_logit<T>) g += slope * (at.student - deviations.student.mean);
        if (at.is_label && result.label != 0) g += result.label;
      });
    }
    if constexpr (whole) value = add_whole(team, m, r, label, n, value);
    if (team.rank() == 0) write_numbers(result, r, value);
  }

  /// The rowwise losses of one row, on top of @p value.
  template <class Team>
  LIMBECK_DEVICE T add_whole(const Team& team, const team_rows<T>& m, std::size_t r, std::int64_t label, const Numbers& n,
                             T value) const {
    team.wait();
    for_each_index<Plan::size>([&](auto k) {
      const auto& term = terms[hana::size_t<k>{}];
      using Term = std::remove_cvref_t<decltype(term)>;
      using Loss = typename Term::loss_type;
      if constexpr (is<Loss, rowwise>) {
        constexpr auto s = Plan::slot_keys::template index<typename Term::student_slot>();
        limbeck::row<T, Team> x{};
        x.student = {m.student, in.classes()};
        x.student_temperature = T(1) / n.inverse_t[s];
        if constexpr (needs_teacher<Loss>()) {
          constexpr auto t = Plan::slot_keys::template index<typename Term::teacher_slot>();
          x.teacher = {m.teacher, in.teacher_classes()};
          x.teacher_temperature = T(1) / n.inverse_t[t];
        }
        x.index = in.first_row + in.row_of_call(r);
        x.label = label;
        x.scratch = {m.scratch, padded * scratch_rows<Loss>()};
        if constexpr (Mode::gradient) x.gradient = {m.gradient, in.classes()};
        const T weight = n.value_weight[k];
        if (weight == 0) return;
        x.scale = static_cast<T>(static_cast<double>(weight) * in.weight(r) * normalizer());
        x.team = team;
        value += weight * loss_of<Plan, k>(term, n)(x);
        team.wait();
      }
    });
    if constexpr (Mode::gradient) {
      constexpr std::size_t W = Team::template width<T>;
      using block = device_block_of<T, W>;
      const own_elements own = own_of<T>(team, in.classes());
      for (std::size_t c = own.first; c < own.last; c += own.step) {
        block g = *reinterpret_cast<const block*>(m.gradient + c);
        if (in.add) {
          const block old = load_block<W>(team, stored_rows<const T>(in.gradient), whole_gradient, r, c);
          for (std::size_t j = 0; j < W; ++j) g.v[j] += old.v[j];
        }
        hold_back(g, !(value < infinity));
        store_block<W>(team, in.gradient, whole_gradient, r, c, g);
      }
    }
    return value;
  }

  LIMBECK_DEVICE void write_numbers(const row_finish<T, Plan>& result, std::size_t r, T value) const {
    values[r] = static_cast<double>(value);
    if (value != value) device_faults::report(out, r, fault::value);
    if (in.row_losses) in.row_losses[r] = value;
    if constexpr (Mode::gradient) {
      const auto by_t = [&](std::size_t i) {
        return value < infinity ? result.temperature_gradient[i] : held(result.temperature_gradient[i]);
      };
      [[maybe_unused]] std::size_t next = 0;
      for_each_key(typename Plan::slot_keys{}, [&]<class S, std::size_t Index>() {
        if constexpr (is_learned<S>)
          temperatures[r * learned + next++] = static_cast<double>(by_t(Index));
        if constexpr (Mode::row_temperature_gradient && std::is_same_v<S, row_slot>)
          in.row_temperature_gradient[r] = by_t(Index);
      });
    }
  }

  // --- over all rows -----------------------------------------------------------------------------------------------

  using totals = team_array<double, 4 + learned>;  // weight, rows, loss, rows shown, temperatures

  /// Rows [first, last), the losses only once there are any.
  template <class Team>
  LIMBECK_DEVICE totals add_rows(const Team& team, std::size_t first, std::size_t last, bool with_losses) const {
    totals sum{};
    for (std::size_t r = first + team.rank(); r < last; r += team.size()) {
      sum.v[3] += in.shown(r) ? 1 : 0;
      if (!in.valid(r)) continue;
      const double w = in.weight(r);
      sum.v[0] += w;
      sum.v[1] += 1;
      if (!with_losses) continue;
      sum.v[2] += w * written(values + r);
      if constexpr (Mode::gradient)
        for_each_index<learned>([&](auto k) { sum.v[4 + k] += written(temperatures + r * learned + k); });
    }
    return team.sum(sum);
  }
  /// What other blocks have written in this kernel.
  LIMBECK_DEVICE static double written(const double* x) { return *static_cast<const volatile double*>(x); }

  /// What one thread writes in the end, or, before the rows, the normaliser. The next call finds no fault.
  LIMBECK_DEVICE void conclude(const totals& sum, bool with_losses) const {
    if (!with_losses) {
      out->normalizer = sum.v[0] > 0 ? 1 / sum.v[0] : 0;
      return;
    }
    out->weight = sum.v[0];
    out->rows = sum.v[1];
    out->shown = sum.v[3];
    out->loss = sum.v[2] * normalizer();
    for (double& by_t : out->temperature_gradient) by_t = 0;
    for_each_index<learned>([&](auto k) { out->temperature_gradient[k] = sum.v[4 + k]; });
    fault_place p;
    if (const unsigned long long found = *static_cast<const volatile unsigned long long*>(&out->fault); found != 0) {
      const unsigned long long key = ~found;
      const auto code = static_cast<fault>(key % device_faults::codes);
      const auto r = static_cast<std::size_t>(key / device_faults::codes);
      if (targeted && (code == fault::teacher || code == fault::teacher_number)) {
        p = locate_in_target(code, r);
      } else {
        p = locate_fault(in, code, r);
      }
      out->fault = 0;
    } else if (sum.v[3] > 0 && sum.v[0] == 0 && in.reduce == reduction::mean && in.mean_over == 0 && !normalizer_at) {
      p.code = fault::no_weight;
    }
    out->fault_code = 0;
    p.row += in.first_row;
    if (p.code != fault::none) out->report(p);
  }
  LIMBECK_DEVICE fault_place locate_in_target(fault code, std::size_t r) const {
    fault_place p;
    p.code = code;
    p.row = r;
    const double first = written(values + r);
    p.has_column = first > 0;
    if (p.has_column) p.column = in.target.classes - static_cast<std::size_t>(first);
    p.value = static_cast<double>(code == fault::teacher ? std::numeric_limits<float>::quiet_NaN()
                                                         : -std::numeric_limits<float>::infinity());
    return p;
  }
};

}  // namespace detail
LIMBECK_END_NAMESPACE

#endif
