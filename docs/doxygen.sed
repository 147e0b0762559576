# For Doxygen alone: what every policy has to have is explained here once, instead of in each of them. Line numbers stay.
s|^( *)using limbeck_loss = (\w+);|\1/** Kind of loss, see engine/point.hpp: `\2`. */ using limbeck_loss = \2;|
s|^( *)using limbeck_(schedule\|temperature\|workspace\|deferred\|argument) = |\1/** Marks this type for the concept of that name. */&|
s|^( *)static constexpr int temperature_power = |\1/** The loss is multiplied with T to this power, unless `unscaled`. */&|
s|^( *)static constexpr bool needs_teacher = |\1/** Whether the call has to have a teacher. */&|
s|^( *)static constexpr bool needs_rest = |\1/** Whether it reads the classes other than the label too. */&|
s|^( *)static constexpr bool takes_soft_labels = |\1/** Whether `soft_labels` may stand for labels. */&|
s|^( *)static constexpr bool mean_over_classes = |\1/** Whether the sum over classes is divided by their number. */&|
s|^( *)void check\(\) const|\1/** @throws value_error where an option is out of range. */&|
s|^( *)constexpr bool wants_mean\(\)|\1/** Whether the outcome reads `mean_log_q`. */&|
s|^( *)constexpr auto terms\(\)|\1/** The losses that it is made of. */&|
s|^( *)(constexpr )?double operator\(\)\(double( x)?\) const|\1/** At progress x. */&|
s|^( *)double from, to;|\1/** At progress 0. */ double from; /** At progress 1. */ double to;|
s|^( *)constexpr (linear\|cosine)\(double first|\1/** From @p first to @p last. */&|
s|^( *)detail::knots knots;|\1/** (progress, value). */&|
/^  template <class X>$/{
  N
  s|^(.*)(\n.* value\(const point)|  /** phi at one class. */\1\2|
  s|^(.*)(\n.* flow\(const point)|  /** q dphi/dq at one class (`logitwise`: dphi/du). */\1\2|
  s|^(.*)(\n.* teacher_flow\(const point)|  /** dphi/dv at one class. */\1\2|
  s|^(.*)(\n.* outcome\(const label_point)|  /** Value and gradient of a row. */\1\2|
  s|^(.*)(\n.* soft_target\()|  /** What becomes of a soft label. */\1\2|
}
# two or three members with one comment: each has it
s|^( *)([A-Za-z:<> ]+) (\w+)( = [^,;]+)?, (\w+)( = [^,;]+)?; *///< (.*)$|\1\2 \3\4; /**< \7 */ \2 \5\6; /**< \7 */|
s|^( *)(double) (\w+), (\w+), (\w+); *///< (.*)$|\1\2 \3; /**< \6 */ \2 \4; /**< \6 */ \2 \5; /**< \6 */|
