package triton.flink;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Writes the lines of Rust's log to that of Flink, under loggers below {@code triton}. */
final class NativeLog {
    /** Its level is that of everything that Rust writes. */
    private static final Logger ROOT = LoggerFactory.getLogger("triton");

    private static int level = -1;

    private NativeLog() {}

    /** Writes what has gathered since the last time. */
    static synchronized void write() {
        int current = level();
        if (current != level) {
            level = current;
            NativeLibrary.setLogLevel(level);
        }
        RowReader lines = new RowReader(NativeLibrary.takeLog());
        while (lines.hasMore()) {
            byte lineLevel = lines.readByte();
            Logger logger = LoggerFactory.getLogger(lines.readText());
            String text = lines.readText();
            switch (lineLevel) {
                case 1:
                    logger.error(text);
                    break;
                case 2:
                    logger.warn(text);
                    break;
                case 3:
                    logger.info(text);
                    break;
                case 4:
                    logger.debug(text);
                    break;
                default:
                    logger.trace(text);
            }
        }
    }

    private static int level() {
        if (ROOT.isTraceEnabled()) {
            return 5;
        } else if (ROOT.isDebugEnabled()) {
            return 4;
        } else if (ROOT.isInfoEnabled()) {
            return 3;
        } else if (ROOT.isWarnEnabled()) {
            return 2;
        }
        return ROOT.isErrorEnabled() ? 1 : 0;
    }
}
