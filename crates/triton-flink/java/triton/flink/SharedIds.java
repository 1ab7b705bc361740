package triton.flink;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Notices operators that send the same sequence IDs to one model, as far as they share a JVM: two
 * ML_PREDICTs of one model in a job, or one job that was submitted twice.
 *
 * <p>Each job that brings this jar along has classes of its own, so what is noted stands where all
 * of them find it: in a property of the system for each beginning of IDs, as text, because others
 * read all properties as text. It has a line for each function that is open.
 */
final class SharedIds {
    private static final Logger LOG = LoggerFactory.getLogger("triton.flink");

    private static final String PLACE = "triton.flink.shared-ids ";

    private final String ids;
    private final String operator;

    private SharedIds(String ids, String operator) {
        this.ids = ids;
        this.operator = operator;
    }

    /** Notes the IDs of a function until they are closed; null where nobody can share them. */
    static SharedIds note(long function, String operator) {
        RowReader shared = new RowReader(NativeLibrary.sharedIds(function));
        if (!shared.hasMore()) {
            return null;
        }
        String ids = shared.readText();
        String advice = shared.readText();
        String others = add(ids, operator);
        if (!others.isEmpty()) {
            LOG.warn(
                    "operators send the same sequence IDs: {} and {} have those that begin with "
                            + "'{}' (server, model, ID). {}",
                    others,
                    operator,
                    ids,
                    advice);
        }
        return new SharedIds(ids, operator);
    }

    void close() {
        System.getProperties()
                .computeIfPresent(
                        PLACE + ids,
                        (place, before) -> {
                            List<String> left = lines(before);
                            left.remove(operator);
                            return left.isEmpty() ? null : String.join("\n", left);
                        });
    }

    /** Adds an operator; returns the others that are there. */
    private static String add(String ids, String operator) {
        Object all =
                System.getProperties()
                        .merge(PLACE + ids, operator, (before, added) -> before + "\n" + added);
        List<String> others = lines(all);
        others.removeIf(operator::equals);
        return String.join(", ", new LinkedHashSet<>(others));
    }

    private static List<String> lines(Object text) {
        return new ArrayList<>(List.of(text.toString().split("\n")));
    }
}
