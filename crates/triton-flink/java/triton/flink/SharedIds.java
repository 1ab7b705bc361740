package triton.flink;

import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Notices operators that send the same sequence IDs to one model, as far as they share a JVM: two
 * ML_PREDICTs of one model in a job, or one job that was submitted twice.
 *
 * <p>Each job that brings this jar along has classes of its own, so what is noted stands where all
 * of them find it, in types of the JVM itself.
 */
final class SharedIds {
    private static final Logger LOG = LoggerFactory.getLogger("triton.flink");

    private static final String PLACE = "triton.flink.shared-ids";

    private final Map<Object, Object> noted;
    private final String ids;
    private final String operator;

    private SharedIds(Map<Object, Object> noted, String ids, String operator) {
        this.noted = noted;
        this.ids = ids;
        this.operator = operator;
    }

    /** Notes the IDs of a function until they are closed; null where nobody can share them. */
    static SharedIds note(long function, String operator) {
        String ids = new String(NativeLibrary.sharedIds(function), StandardCharsets.UTF_8);
        if (ids.isEmpty()) {
            return null;
        }
        Map<Object, Object> noted = noted();
        Object other = noted.putIfAbsent(ids, operator);
        if (other != null && !other.equals(operator)) {
            LOG.warn(
                    "two operators send the same sequence IDs: {} and {} both have those that begin "
                            + "with '{}' (server, model, ID). Set 'sequence-id-scope' to 'run', or "
                            + "give each of them a 'sequence-id' of its own",
                    other,
                    operator,
                    ids);
        }
        return new SharedIds(noted, ids, operator);
    }

    void close() {
        noted.remove(ids, operator);
    }

    @SuppressWarnings("unchecked")
    private static Map<Object, Object> noted() {
        return (Map<Object, Object>)
                System.getProperties()
                        .computeIfAbsent(PLACE, place -> new ConcurrentHashMap<>());
    }
}
