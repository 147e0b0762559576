# For Doxygen alone: what every policy has to have is explained here once, instead of in each of them. Line numbers stay.

s!arXiv:([0-9]{4}\.[0-9]{4,5})!<a href="https://arxiv.org/abs/\1">arXiv:\1</a>!g

# two or three members with one comment: each has it
s!^( *)([A-Za-z_:<> ]+) (\w+)( = [^,;]+)?, (\w+)( = [^,;]+)?; *///< (.*)$!\1\2 \3\4; /**< \7 */ \2 \5\6; /**< \7 */!
s!^( *)(double) (\w+), (\w+), (\w+); *///< (.*)$!\1\2 \3; /**< \6 */ \2 \4; /**< \6 */ \2 \5; /**< \6 */!

# what has a comment of its own keeps it alone
x
/^ *\/\/\/( |$)/{
  x
  h
  b
}
x
h

# kinds of policy
s!^( *)using limbeck_loss = (\w+);!\1/** Kind of loss, see engine/point.hpp: `\2`. */ using limbeck_loss = \2;!
s!^( *)using limbeck_signal = (\w+);!\1/** Kind of signal, see signal/signal.hpp: `\2`. */ using limbeck_signal = \2;!
s!^( *)using limbeck_(map|schedule|temperature|workspace|deferred|argument|decay|target|chooser) = !\1/** Marks this type for the concept of that name. */&!

# losses
s!^( *)static constexpr bool (\w+) = ([^,;]+), (\w+) = ([^,;]+), (\w+) = ([^,;]+), (\w+) = ([^,;]+);!\1static constexpr bool \2 = \3; static constexpr bool \4 = \5; static constexpr bool \6 = \7; static constexpr bool \8 = \9;!
s!^( *)static constexpr bool (\w+) = ([^,;]+), (\w+) = ([^,;]+), (\w+) = ([^,;]+);!\1static constexpr bool \2 = \3; static constexpr bool \4 = \5; static constexpr bool \6 = \7;!
s!^( *)static constexpr bool (\w+) = ([^,;]+), (\w+) = ([^,;]+);!\1static constexpr bool \2 = \3; static constexpr bool \4 = \5;!
s!static constexpr bool by_row = !/** A sum over rows, each by its own: takes weights, signals, parts of a batch. */ &!
s!static constexpr bool into_teacher = !/** Whether it has a derivative by its teacher, see `into_teacher`. */ &!
s!static constexpr bool of_features = !/** Whether it compares features, of which none is -inf. */ &!
s!static constexpr bool fixed_temperature = !/** Whether it is no loss of logits, and takes no temperature. */ &!
s!static constexpr bool fixed_teacher_temperature = !/** Whether its teacher takes no temperature. */ &!
s!static constexpr bool relates_rows = !/** Whether a row depends on the others, so that parts of a batch are not the batch. */ &!
s!static constexpr bool keeps_rows = !/** Whether row r is made of row r. */ &!
s!^( *)void check_call\(std::size_t!\1/** Looks at the shape of a call. @throws shape_error, value_error where it does not fit. */&!
s!^( *)(friend )?bool operator==\(const (layer_pair|layer_map)!\1/** Whether they are the same. */&!
s!^( *)static constexpr int temperature_power = !\1/** The loss is multiplied with T to this power, unless `unscaled`. */&!
s!static constexpr bool needs_teacher = !/** Whether the call has to have a teacher. */ &!
s!static constexpr bool needs_labels = !/** Whether the call has to have labels. */ &!
s!static constexpr bool needs_student = !/** Whether it reads the student's logits. */ &!
s!static constexpr bool needs_second = !/** Whether it reads the second highest probability. */ &!
s!static constexpr bool needs_rest = !/** Whether it reads the classes other than the label too. */ &!
s!static constexpr bool takes_soft_labels = !/** Whether `soft_labels` may stand for labels. */ &!
s!static constexpr bool saturates = !/** A sum that overflows is +inf, and not refused. */ &!
s!static constexpr bool teacher_has_temperature = !/** Its teacher was made at a temperature, which the call has to have. */ &!
s!static constexpr bool mean_over_classes = !/** Whether the sum over classes is divided by their number. */ &!
s!static constexpr bool any_width = !/** Student and teacher may differ in width. */ &!
s!^( *)static constexpr std::size_t scratch_rows = !\1/** How many rows of scratch memory it is lent. */&!
s!^( *)void check\(\) const!\1/** Looks at the options; called before each sweep. @throws value_error where one is out of range. */&!
s!^( *)constexpr bool wants_mean\(\)!\1/** Whether the outcome reads `mean_log_q`. */&!
s!^( *)constexpr auto terms\(\)!\1/** The losses that it is made of. */&!

# what says in words what it is
s!^( *)std::string describe\(\) const!\1/** In words, for `plan` and for the fingerprint of a checkpoint. */&!
s!^( *)using limbeck_view = !\1/** It looks at memory of others, so a temporary of it may be kept. */&!

# schedules and decays
s!^( *)(constexpr )?double operator\(\)\(double( x)?\) const!\1/** At progress x. */&!
s!^( *)(constexpr )?double operator\(\)\(std::uint64_t( n)?\) const!\1/** The decay of update n, from 1. */&!
s!^( *)double from, to;!\1/** At progress 0. */ double from; /** At progress 1. */ double to;!
s!^( *)constexpr (linear|cosine)\(double first!\1/** From @p first to @p last. */&!
s!^( *)detail::knots knots;!\1/** (progress, value). */&!

# targets, pools, metrics
s!^( *)using memory = !\1/** Whose memory it reads: the host's or a device's. */&!
s!^( *)using scalar = !\1/** Of its numbers: float or double. */&!
s!^( *)std::size_t samples\(\) const!\1/** How many rows it has. */&!
s!^( *)std::size_t classes\(\) const!\1/** How many classes a row has. */&!
s!^( *)void fill\(const target_row!\1/** Writes one row; runs on any worker, does not throw. */&!
s!^( *)std::size_t size\(\) const!\1/** How many rows it has. */&!
s!^( *)std::size_t columns\(\) const!\1/** How many numbers a row has. */&!
s!^( *)void read\(std::size_t first!\1/** Writes rows [first, first + count). */&!
s!^( *)static constexpr double scale = !\1/** The distance is this times that of the embedded rows. */&!

# callbacks of the trainer
s!^( *)void begin\(training_run!\1/** Before the first step. */&!
s!^( *)void after_step\(training_run!\1/** After each step. */&!
s!^( *)void after_epoch\(training_run!\1/** After each epoch. */&!
s!^( *)void end\(training_run!\1/** After the last step. */&!

# templates, whose comment stands before them
/^  (LIMBECK_CALLS_ANY )?template <class \w+(, class \w+)?>$/{
  N
  s!^(.*)(\n.* at_class\(const class_point)!  /** What is summed over the classes. */\1\2!
  s!^(.*)(\n.* value\(const row_summary)!  /** The signal of a row. */\1\2!
  s!^(.*)(\n.* value\(const point)!  /** phi at one class. */\1\2!
  s!^(.*)(\n.* flow\(const point)!  /** q dphi/dq at one class (`logitwise`: dphi/du). */\1\2!
  s!^(.*)(\n.* teacher_flow\(const point)!  /** dphi/dv at one class. */\1\2!
  s!^(.*)(\n.* outcome\(const label_point)!  /** Value and gradient of a row. */\1\2!
  s!^(.*)(\n.* soft_target\()!  /** What becomes of a soft label. */\1\2!
  s!^(.*)(\n.* operator\(\)\(const batch)!  /** Value of a batch; adds its gradient where one is wanted. */\1\2!
  s!^(.*)(\n.* fill\(const Row&)!  /** Writes one row; runs on any worker, or on a device by the threads that share the row, and does not throw. */\1\2!
  s!^(.*)(\n.* void apply\(const (Team|rows))!  /** y = the map of x. */\1\2!
  s!^(.*)(\n.* void pull_back\(const (Team|rows))!  /** Adds what the slope by y says of x, and of what the map learns. */\1\2!
  s!^(.*)(\n.* operator\(\)\(const row<)!  /** Value of a row; adds its gradient where one is wanted. */\1\2!
  s!^(.*)(\n.* void serialize\(Archive)!  /** Saves the state, or loads it. */\1\2!
}
