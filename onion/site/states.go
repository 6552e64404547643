package site

// Region is one of the four regions of Mexico that desks work in (Hispanics in
// Philanthropy, 2017): N north, B southwest (Bajío), C centre, S south.
type Region = string

// state is one of the 32 states.
type state struct {
	Code   string // as in desk files
	Name   string
	Region Region
}

// Answers to "in which states?" that name no state.
const (
	stateOutside = "outside" // outside Mexico
	stateUnknown = "unknown" // does not know, or would rather not say
)

// states is sorted by name, as the page lists them: few sources know the
// regions, so these are derived.
var states = [...]state{
	{"AGS", "Aguascalientes", "B"},
	{"BC", "Baja California", "N"},
	{"BCS", "Baja California Sur", "N"},
	{"CAM", "Campeche", "S"},
	{"CHIS", "Chiapas", "S"},
	{"CHIH", "Chihuahua", "N"},
	{"CDMX", "Ciudad de México", "C"},
	{"COAH", "Coahuila", "N"},
	{"COL", "Colima", "B"},
	{"DGO", "Durango", "N"},
	{"MEX", "Estado de México", "C"},
	{"GTO", "Guanajuato", "B"},
	{"GRO", "Guerrero", "S"},
	{"HGO", "Hidalgo", "C"},
	{"JAL", "Jalisco", "B"},
	{"MICH", "Michoacán", "C"},
	{"MOR", "Morelos", "C"},
	{"NAY", "Nayarit", "B"},
	{"NL", "Nuevo León", "N"},
	{"OAX", "Oaxaca", "S"},
	{"PUE", "Puebla", "C"},
	{"QRO", "Querétaro", "B"},
	{"QROO", "Quintana Roo", "S"},
	{"SLP", "San Luis Potosí", "B"},
	{"SIN", "Sinaloa", "N"},
	{"SON", "Sonora", "N"},
	{"TAB", "Tabasco", "S"},
	{"TAMPS", "Tamaulipas", "N"},
	{"TLAX", "Tlaxcala", "C"},
	{"VER", "Veracruz", "S"},
	{"YUC", "Yucatán", "S"},
	{"ZAC", "Zacatecas", "B"},
}

// regionOf returns the region of a state, or "" if code names none.
func regionOf(code string) Region {
	for _, s := range states {
		if s.Code == code {
			return s.Region
		}
	}
	return ""
}

// stateName is the name of a state, or "" if code names none.
func stateName(code string) string {
	for _, s := range states {
		if s.Code == code {
			return s.Name
		}
	}
	return ""
}

// isPlace reports whether code is an answer that the list of states offers.
func isPlace(code string) bool {
	return code == stateOutside || code == stateUnknown || regionOf(code) != ""
}
