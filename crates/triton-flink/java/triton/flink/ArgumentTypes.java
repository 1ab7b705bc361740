package triton.flink;

import java.util.ArrayList;
import java.util.List;
import org.apache.flink.table.api.ValidationException;
import org.apache.flink.table.types.DataType;
import org.apache.flink.table.types.logical.ArrayType;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.LogicalTypeRoot;

/**
 * What a query really gives a model, held against what the model declares.
 *
 * <p>Flink takes an argument for a column of another type wherever it could cast one to the other,
 * and then hands it over without the cast. So what cannot lose anything is converted here, and the
 * rest is refused while the query is planned.
 */
final class ArgumentTypes {
    private ArgumentTypes() {}

    /**
     * The types of the arguments, in place of those declared.
     *
     * @throws ValidationException that names each column whose argument cannot be taken as it is
     */
    static LogicalType[] check(String[] names, LogicalType[] declared, List<DataType> arguments) {
        if (arguments.size() != declared.length) {
            // Nobody knows what these are; rows are then read as declared.
            return declared;
        }
        LogicalType[] given = new LogicalType[declared.length];
        List<String> problems = new ArrayList<>();
        for (int index = 0; index < given.length; index++) {
            given[index] = arguments.get(index).getLogicalType();
            if (given[index].getTypeRoot() == LogicalTypeRoot.NULL) {
                // It has no value, so that the type does not matter.
                given[index] = declared[index];
            }
            if (!isExact(given[index], declared[index])) {
                String wanted = declared[index].copy(true).asSummaryString();
                problems.add(
                        String.format(
                                "INPUT column '%s' is %s, and the query gives it %s, of which not "
                                        + "every value is one: write CAST(... AS %s) for its "
                                        + "column in the table or view that ML_PREDICT reads",
                                names[index],
                                wanted,
                                given[index].copy(true).asSummaryString(),
                                wanted));
            }
        }
        if (!problems.isEmpty()) {
            throw new ValidationException(String.join("\n", problems));
        }
        return given;
    }

    /** Whether every value of a type is one of another as well. */
    private static boolean isExact(LogicalType from, LogicalType to) {
        if (from instanceof ArrayType && to instanceof ArrayType) {
            return isExact(((ArrayType) from).getElementType(), ((ArrayType) to).getElementType());
        }
        switch (to.getTypeRoot()) {
            case CHAR:
            case VARCHAR:
                return isOneOf(from, LogicalTypeRoot.CHAR, LogicalTypeRoot.VARCHAR);
            case BINARY:
            case VARBINARY:
                return isOneOf(from, LogicalTypeRoot.BINARY, LogicalTypeRoot.VARBINARY);
            default:
                break;
        }
        int wide = wholeDigits(to);
        switch (from.getTypeRoot()) {
            case TINYINT:
            case SMALLINT:
            case INTEGER:
            case BIGINT:
                return wholeDigits(from) <= wide;
            case FLOAT:
                return isOneOf(to, LogicalTypeRoot.FLOAT, LogicalTypeRoot.DOUBLE);
            default:
                return from.getTypeRoot() == to.getTypeRoot();
        }
    }

    /** How many binary digits of whole numbers a type holds exactly, the sign included. */
    private static int wholeDigits(LogicalType type) {
        switch (type.getTypeRoot()) {
            case TINYINT:
                return 8;
            case SMALLINT:
                return 16;
            case FLOAT:
                return 25;
            case INTEGER:
                return 32;
            case DOUBLE:
                return 54;
            case BIGINT:
                return 64;
            default:
                return 0;
        }
    }

    private static boolean isOneOf(LogicalType type, LogicalTypeRoot one, LogicalTypeRoot other) {
        return type.getTypeRoot() == one || type.getTypeRoot() == other;
    }
}
